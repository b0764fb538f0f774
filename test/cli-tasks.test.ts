import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readFileSync, rmSync, watch, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { CommandProcess, runCommand } from "./cli-process.js";

const cwd = join(import.meta.dirname, "fixtures/tasks");

describe("tasks of an app that is run by the command line", () => {
  let folder: string;
  let env: Readonly<Record<string, string>>;
  let log: string;
  before(() => {
    folder = mkdtempSync(join(tmpdir(), "ekiben-cli-tasks-"));
    log = join(folder, "log");
    writeFileSync(log, "");
    env = { TASK_LOG: log, EKIBEN_DATA: join(folder, "data") };
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  const serve = (...flags: string[]) =>
    new CommandProcess(["serve", "--port", "0", "--host", "127.0.0.1", ...flags], { cwd, env });
  const tasks = (...words: string[]) => runCommand(["tasks", ...words], { cwd, env });
  const show = async (id: string) => JSON.parse((await tasks("show", id, "--format", "json")).stdout);
  const submit = async (url: string, text: string): Promise<string> => {
    const body = JSON.stringify(text);
    const headers = { "content-type": "application/json" };
    const response = await fetch(`${url}/hold/submit`, { method: "POST", headers, body });
    return ((await response.json()) as { task_id: string }).task_id;
  };
  /** Resolves when a task has written the line. */
  const noted = (line: string) =>
    new Promise<void>((resolve) => {
      const watcher = watch(folder);
      const look = () => {
        if (!readFileSync(log, "utf8").split("\n").includes(line)) return;
        watcher.close();
        resolve();
      };
      watcher.on("change", look);
      look();
    });

  it("are given back by a drain that takes too long, kept, listed, and run by the next app", async () => {
    using first = serve("--drain-timeout-ms", "300");
    const url = await first.url();
    const running = await submit(url, "first");
    await noted("begun first");
    const waiting = await submit(url, "second");
    first.child.kill("SIGTERM");
    assert.equal((await first.ended).status, 0);
    await noted("ended first by draining");

    const { status, attempt, progress, service, api } = await show(running);
    assert.deepEqual([status, attempt, progress, service, api], ["pending", 0, 0.5, "Clerk", "hold"]);
    const listed = await tasks("list");
    assert.equal(listed.status, 0, listed.stderr);
    const [head, ...rows] = listed.stdout.trimEnd().split("\n");
    assert.match(String(head), /^ID +API +STATUS +PROGRESS +AGE +RAN FOR$/);
    assert.deepEqual(
      rows.map((row) => row.split(/ {2,}/).slice(0, 3)),
      [
        [waiting, "Clerk.hold", "pending"],
        [running, "Clerk.hold", "pending"],
      ],
    );
    writeFileSync(`${log}.go`, "");
    using second = serve();
    const again = await second.url();
    for (const [id, answer] of [
      [running, "FIRST"],
      [waiting, "SECOND"],
    ] as const) {
      const response = await fetch(`${again}/hold/get?task_id=${id}&wait=true`);
      assert.deepEqual([response.status, await response.json()], [200, answer]);
    }
    rmSync(`${log}.go`);
    assert.deepEqual([(await show(running)).status, (await show(running)).attempt], ["completed", 1]);
    second.child.kill("SIGTERM");
    assert.equal((await second.ended).status, 0);
    assert.ok(existsSync(join(folder, "data")));
  });

  it("run by a schedule: one for each planned time, of whatever replica, and the list names the schedule", async () => {
    using app = new CommandProcess(["serve", "scheduled.ts", "--port", "0", "--host", "127.0.0.1"], { cwd, env });
    const url = await app.url();
    const list = (...words: string[]) => tasks("list", "scheduled.ts", ...words);
    type Listed = { readonly id: string; readonly key: string };
    let done: Listed[] = [];
    while (done.length < 3)
      done = JSON.parse((await list("--status", "completed", "--format", "json")).stdout) as Listed[];
    const times = done.map(({ key }) => Date.parse(key.replace(/^schedule · /, ""))).reverse();
    assert.deepEqual(
      times,
      [...new Set(times)].sort((a, b) => a - b),
    );
    assert.ok(times.every((time) => time % 1000 === 0));
    const answer = await fetch(`${url}/tick/get?task_id=${done[0]?.id}`);
    assert.equal(await answer.json(), "tick by schedule");
    // A caller can't take the key of a planned run, which would not run then.
    const headers = { "content-type": "application/json", "idempotency-key": "schedule · 2030-01-01T00:00:00.000Z" };
    const taken = await fetch(`${url}/tick/submit`, { method: "POST", headers, body: '"mine"' });
    assert.equal(((await taken.json()) as { id: string }).id, "invalid_task_key");
    assert.match((await list()).stderr, /^Clock\.tick runs by itself: every 1s; next \d{4}-.*Z \(in .*\)$/m);
    app.child.kill("SIGTERM");
    assert.equal((await app.ended).status, 0);
    const without = runCommand(["tasks", "list", "scheduled.ts"], {
      cwd,
      env: { ...env, EKIBEN_TASKS_SCHEDULES: "false" },
    });
    assert.doesNotMatch((await without).stderr, /runs by itself/);
  });

  it("end when the command line cancels them, while the app runs", async () => {
    using app = serve("--placement", "inline");
    const url = await app.url();
    const id = await submit(url, "third");
    await noted("begun third");
    const canceled = await tasks("cancel", id);
    assert.equal(canceled.status, 0, canceled.stderr);
    await noted("ended third by task_canceled");
    const response = await fetch(`${url}/hold/get?task_id=${id}&wait=true`);
    assert.deepEqual([response.status, ((await response.json()) as { id: string }).id], [409, "task_canceled"]);
    const shown = await tasks("show", id, "service.ts");
    assert.match(shown.stdout, new RegExp(`^id +${id}\\napi +Clerk\\.hold\\nstatus +canceled\\n`));
    assert.match(shown.stdout, /\nfailure +task_canceled: /);
    app.child.kill("SIGTERM");
    assert.equal((await app.ended).status, 0);
  });

  it("are retried and cancelled while no app runs", async () => {
    const [ended] = JSON.parse((await tasks("list", "--status", "canceled", "--format", "json")).stdout);
    const retried = await tasks("retry", ended.id, "--format", "json");
    assert.equal(retried.status, 0, retried.stderr);
    const { id, status } = JSON.parse(retried.stdout);
    assert.notEqual(id, ended.id);
    assert.equal(status, "pending");
    assert.match((await tasks("retry", id)).stderr, /task [0-9a-f]{32} has not finished: it is pending/);
    assert.equal(JSON.parse((await tasks("cancel", id, "-f", "json")).stdout).status, "canceled");
    assert.equal(JSON.parse((await tasks("list", "--limit", "1", "-f", "json")).stdout).length, 1);
    assert.equal((await tasks("list", "--status", "failed")).stdout, "no tasks\n");
  });

  it("are not to be had by a wrong word, with a hint at the right one", async () => {
    const unknown = "0".repeat(32);
    const wrong: readonly (readonly [words: readonly string[], status: number, stderr: RegExp])[] = [
      [["lst"], 2, /tasks has no action lst; did you mean list\? It takes list, show, cancel, retry/],
      [["show"], 2, /tasks show needs the id of a task, 32 hex digits/],
      [["cancel", "everything"], 2, /needs the id of a task, 32 hex digits, got everything/],
      [["show", unknown], 1, new RegExp(`this api has no task ${unknown}`)],
      [["cancel", unknown], 1, /has no task/],
      [["list", "--service", "Clrk"], 2, /no service with tasks is named Clrk; did you mean Clerk\?/],
      [["list", "--api", "holt"], 2, /no api with tasks is named holt; did you mean hold\?/],
      [
        ["list", "--status", "done"],
        2,
        /--status is done; it takes pending, held, in_progress, completed, failed, canceled/,
      ],
      [["list", "--limit", "0"], 2, /--limit is 0; it takes a whole number from 1 to 10000/],
      [["list", "service.ts", "other.ts"], 2, /tasks list got too many arguments: other\.ts/],
      [["list", "nowhere.ts"], 1, /there is no file nowhere\.ts/],
    ];
    const results = await Promise.all(wrong.map(([words]) => tasks(...words)));
    for (const [i, [words, status, stderr]] of wrong.entries()) {
      assert.equal(results[i]?.status, status, `${words.join(" ")}: ${results[i]?.stderr}`);
      assert.match(String(results[i]?.stderr), stderr);
    }
  });
});
