import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { CommandProcess, runCommand } from "./cli-process.js";

const post = (url: string, body?: unknown) =>
  fetch(url, {
    method: "POST",
    ...(body !== undefined && { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
  });

describe("ekiben serve", () => {
  it("says what started, where it answers and how to call it, and answers", async () => {
    using server = new CommandProcess(["serve", "service.ts", "--port", "0"]);
    const url = await server.url();
    await server.until(/curl .*\n/);
    const response = await post(`${url}/count`, { text: "one two three" });
    assert.deepEqual(await response.json(), { words: 3 });
    server.child.kill("SIGINT");
    const { status, stdout, stderr } = await server.ended;
    assert.equal(status, 0, stderr);
    assert.match(stderr, /✓ Words {2}started in [\d.]+ m?s {2}2 replicas\n✓ Counter {2}started in/);
    assert.match(stderr, /ready in [\d.]+ m?s {2}http:\/\/127\.0\.0\.1:\d+\n/);
    assert.match(stderr, /POST \/count +\{ text \} -> \{ words \}\n/);
    assert.match(stderr, /GET {2}\/docs/);
    assert.match(stderr, /curl http:\S+\/count -H 'content-type: application\/json' -d '\{"text":"one two"\}'/);
    assert.match(
      stderr,
      /draining: 0 requests in flight, limit 30 s; press Ctrl-C again to end at once\nstopped after/,
    );
    const lines = stdout.trim().split("\n");
    for (const line of lines) assert.equal(typeof JSON.parse(line).level, "number", "the log is JSON");
  });

  it("constructs each class once to learn the graph and once for its replica, and gives each warning once", async () => {
    using server = new CommandProcess(["serve", "counted.ts:Front", "--port", "0", "--placement", "inline"], {
      env: { EKIBEN_REPLICA: "1" },
    });
    await server.url();
    server.child.kill("SIGINT");
    const { stderr } = await server.ended;
    const count = (text: string) => stderr.split(text).length - 1;
    assert.deepEqual([count("constructed Inner\n"), count("constructed Front\n")], [2, 2], stderr);
    assert.deepEqual(
      [count("did you mean EKIBEN_REPLICAS?"), count("option http has no effect there")],
      [1, 1],
      stderr,
    );
  });

  it("answers an accepted request after SIGTERM, takes no new one, and ends with 0", async () => {
    using server = new CommandProcess(["serve", "service.ts", "--port", "0", "--placement", "inline"]);
    const url = await server.url();
    const held = post(`${url}/hold`);
    await server.until(/holding/);
    server.child.kill("SIGTERM");
    await server.until(/draining: 1 request in flight/);
    const ask = () =>
      post(`${url}/count`, { text: "late" }).then(
        ({ status }) => status,
        () => "refused",
      );
    // A connection that came before the port was closed is answered.
    let late: string | number = 200;
    while (late === 200) late = await ask();
    assert.ok(late === "refused" || late === 503, `a new request got ${late}`);
    server.child.kill("SIGUSR2");
    const response = await held;
    assert.equal(response.status, 200);
    assert.equal(await response.json(), "held to the end");
    assert.equal((await server.ended).status, 0);
  });

  it("ends at once at a second signal", async () => {
    using server = new CommandProcess(["serve", "service.ts", "--port", "0", "--placement", "inline"]);
    const url = await server.url();
    const held = post(`${url}/hold`).catch(() => "cut off");
    await server.until(/holding/);
    server.child.kill("SIGINT");
    // One press of Ctrl-C often arrives twice: from the terminal and from npx.
    server.child.kill("SIGINT");
    await server.until(/draining: 1 request in flight/);
    server.child.kill("SIGTERM");
    const { status, stderr } = await server.ended;
    assert.equal(status, 143);
    assert.match(stderr, /ended at once; calls in flight were cut off/);
    assert.equal(await held, "cut off");
  });

  it("shows the hook, the error, the author's line and the fix when a service does not start", async () => {
    const { status, stderr } = await runCommand(["serve", "failing-start.ts", "--port", "0"]);
    assert.equal(status, 1);
    assert.match(
      stderr,
      /✗ Model {2}failed in start\(\) after [\d.]+ m?s\n {4}start\(\) threw: weights\.onnx is empty\n/,
    );
    assert.match(stderr, /at loadWeights \(failing-start\.ts:5:\d+\)/);
    assert.match(stderr, / {4}fix: \S/);
    assert.match(stderr, /all services were stopped/);
    assert.doesNotMatch(stderr, /Counter|node:internal|dist\//);
  });

  it("reads the app file beside the service, its Fastify routes included", async () => {
    using server = new CommandProcess(["serve", "configured"]);
    const url = await server.url();
    assert.equal(await (await fetch(`${url}/own`)).text(), "a route of the author's");
    server.child.kill("SIGINT");
    const { status, stdout } = await server.ended;
    assert.equal(status, 0);
    assert.equal(stdout, "", "logLevel warn leaves out the access log");
  });

  it("asks the app file's context who is asking, in the replica that answers", async () => {
    using server = new CommandProcess(["serve", "configured"]);
    const url = await server.url();
    const ask = (headers: Record<string, string>) => fetch(`${url}/who`, { method: "POST", headers });
    assert.equal((await ask({})).status, 401);
    const { context, pid } = (await (await ask({ "x-user": "ann" })).json()) as Record<string, any>;
    assert.deepEqual([context["user"], context["pid"]], ["ann", pid]);
    assert.notEqual(pid, server.child.pid);
    server.child.kill("SIGINT");
    await server.ended;
  });

  it("says which port is taken", async () => {
    using first = new CommandProcess(["serve", "configured"]);
    const { port } = new URL(await first.url());
    const { status, stderr } = await runCommand(["serve", "configured", "--port", port]);
    assert.equal(status, 1);
    assert.match(
      stderr,
      new RegExp(`error: port ${port} on 127.0.0.1 is already in use\n  fix: Stop the other program`),
    );
    first.child.kill("SIGINT");
    await first.ended;
  });

  it("starts nothing when options have faults, and lists all of them", async () => {
    const { status, stderr } = await runCommand(["serve", "faults.ts:Options", "--max-concurrent", "many"]);
    assert.equal(status, 1);
    assert.match(stderr, /^4 faults|^5 faults/);
    assert.match(stderr, /fault Options\.replicas: option replicas is 0 \(Service\(\) of Options\); expected/);
    assert.match(stderr, /fault Options\.timeout: there is no option timeout .*; did you mean timeoutMs\?/);
    assert.match(stderr, /fault Options\.run\.maxQueued: option maxQueued is -1 \(api\(\) of Options\.run\)/);
    assert.match(stderr, /fault Options\.run\.exmaples: .* did you mean examples\?/);
    assert.match(stderr, /fault maxConcurrent: option maxConcurrent is "many" \(--max-concurrent\)/);
    assert.doesNotMatch(stderr, /started/);
  });
});
