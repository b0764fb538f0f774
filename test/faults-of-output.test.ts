import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Fifo } from "./faults/fifo.js";
import { RunningApp } from "./faults/running-app.js";

const placements = ["process", "thread", "inline"] as const;
type Placement = (typeof placements)[number];

const isThere = (pid: number): boolean => {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
};

/** App that writes to these pipes. */
function start(placement: Placement, to: { readonly stdout?: Fifo; readonly stderr?: Fifo }, args: string[] = []) {
  const out = to.stdout === undefined ? "" : ` >"$OUT"`;
  const err = to.stderr === undefined ? "" : ` 2>"$ERR"`;
  const under = ["sh", "-c", `exec "$@"${out}${err}`, "sh"];
  const env = { OUT: to.stdout?.path ?? "", ERR: to.stderr?.path ?? "" };
  const options = ["--placement", placement, "--http-access-log", ...args];
  const url = to.stderr?.until(/http:\/\/127\.0\.0\.1:\d+/).then(([found]) => found);
  return new RunningApp("talkative.mjs:Speaker", options, { under, env }, url);
}

/** Calls everything that writes, often enough to fill any pipe. Each call is answered. */
async function talk(app: RunningApp): Promise<void> {
  for (let round = 0; round < 3; round++) {
    for (const way of ["print", "complain", "log"])
      assert.deepEqual(await app.call(way, 100), { status: 200, body: 100 });
    const { status, body } = await app.call("fail", 1);
    assert.deepEqual([status, body.id], [500, "unhandled_error"]);
  }
  for (let i = 0; i < 50; i++) assert.equal((await app.get("/livez")).status, 200);
  assert.equal((await app.get("/readyz")).status, 200);
}

/** Complete lines of output that arrived in parts. */
function joinParts(lines: readonly Part[]): { readonly [field: string]: unknown }[] {
  const texts = new Map<string, string[]>();
  for (const { line, part, parts, text } of lines) {
    if (line === undefined) continue;
    const own = texts.get(line) ?? Array.from<string>({ length: parts });
    texts.set(line, own);
    own[part - 1] = text;
  }
  return [...texts.values()].filter((own) => !own.includes(undefined as never)).map((own) => JSON.parse(own.join("")));
}

interface Part {
  readonly line?: string;
  readonly part: number;
  readonly parts: number;
  readonly text: string;
}

const drainLimitMs = 10_000;

async function endInTime(app: RunningApp): Promise<void> {
  const begun = performance.now();
  assert.equal(await app.end(), 0);
  const ms = performance.now() - begun;
  assert.ok(ms < drainLimitMs, `the drain took ${Math.round(ms)} ms`);
}

for (const placement of placements) {
  describe(`an app whose output nobody reads, in placement ${placement}`, () => {
    it("answers, drains and ends in order while the reader of stdout is stuck (GO2)", async () => {
      using stdout = new Fifo();
      using app = start(placement, { stdout });
      const { body: pid } = await app.call("where");
      await talk(app);
      assert.equal((await app.call("where")).body, pid);
      await endInTime(app);
    });

    it("keeps a bounded part of it, and reports how much was dropped when it is read again (GO2, GO3)", async () => {
      using stdout = new Fifo();
      using app = start(placement, { stdout });
      await app.call("print", 3000);
      await app.call("log", 3000);
      const { body: before } = await app.call("memory");
      for (let round = 0; round < 20; round++) {
        await app.call("print", 3000);
        await app.call("log", 3000);
      }
      const { body: after } = await app.call("memory");
      // 120 MB were printed meanwhile.
      assert.ok(after - before < 20 * 1024 ** 2, `${Math.round((after - before) / 1024 ** 2)} MiB more`);
      stdout.read();
      // What a thread says of lines that it dropped may itself be dropped on its way, while nobody read.
      const droppedLines = /"msg":"\d+ log lines were dropped: standard output did not accept them"/;
      while (!droppedLines.test(stdout.text)) await app.call("log", 3000);
      await stdout.until(/"msg":"\d+ writes to stdout were dropped: the stream did not accept them"/);
      await app.call("log", 1);
      await endInTime(app);
      for (const line of stdout.text.split("\n").slice(0, -1)) {
        if (line.startsWith("{")) JSON.parse(line);
        else assert.match(line, /^printed x{1000}$/);
      }
    });

    it("never mixes its lines with those of other processes, however long they are (OL4)", async () => {
      using stdout = new Fifo();
      stdout.read();
      using app = start(placement, { stdout }, ["--replicas", "3"]);
      const readLines = () => {
        const lines = stdout.text
          .split("\n")
          .slice(0, -1)
          .map((line) => JSON.parse(line));
        return [...joinParts(lines), ...lines.filter(({ line }) => line === undefined)];
      };
      const longOnes = () => readLines().filter(({ msg }) => msg === "long");
      for (let count = 24; count <= 240; count += 24) {
        await Promise.all(Array.from({ length: 12 }, () => app.call("logLong", 2)));
        while (longOnes().length < count) await stdout.more();
      }
      await endInTime(app);
      const long = longOnes();
      for (const { text } of long) assert.equal(text, `"é${"x".repeat(12_000)}`);
      const pids = new Set(long.map(({ pid }) => pid));
      assert.equal(pids.size > 1, placement === "process");
      assert.equal(stdout.text.includes('"parts":'), placement === "process");
    });

    it("keeps serving when the reader of stdout is gone, and writes to the next reader (GO1)", async () => {
      using stdout = new Fifo();
      using app = start(placement, { stdout });
      const { body: pid } = await app.call("where");
      stdout.close();
      await talk(app);
      assert.equal((await app.call("where")).body, pid);
      stdout.open();
      stdout.read();
      while (!stdout.text.includes('"msg":"noted"')) await app.call("log", 20);
      await endInTime(app);
    });

    it("keeps serving while the reader of stderr is stuck or gone, with stdout in the same state", async () => {
      for (const state of ["pause", "close"] as const) {
        using stderr = new Fifo();
        using stdout = new Fifo();
        stderr.read();
        stdout.read();
        using app = start(placement, { stdout, stderr });
        const { body: pid } = await app.call("where");
        stderr[state]();
        stdout[state]();
        await talk(app);
        assert.equal((await app.call("where")).body, pid);
        await endInTime(app);
      }
    });
  });
}

describe("an app whose output is stuck, when a second signal comes", () => {
  it("ends at once and leaves no process", async () => {
    using stdout = new Fifo();
    using app = start("process", { stdout });
    const { body: pid } = await app.call("where");
    await talk(app);
    const held = app.call("hold", 1).catch(() => {});
    await app.command.until(/holding/);
    app.command.child.kill("SIGTERM");
    await app.command.until(/draining/);
    app.command.child.kill("SIGINT");
    // The output is closed when no process has it open.
    assert.equal((await app.command.ended).status, 130);
    await held;
    // A process that inherited it may need a moment to see that it has ended.
    while (isThere(pid)) await new Promise((resolve) => setImmediate(resolve));
  });
});
