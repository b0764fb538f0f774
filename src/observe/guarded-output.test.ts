import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import type { Readable, Writable } from "node:stream";
import { text } from "node:stream/consumers";
import { describe, it } from "node:test";
import { Fifo } from "../../test/faults/fifo.js";

const guard = new URL("guarded-output.ts", import.meta.url).href;

/** Runs a program with guarded outputs that writes to a named pipe. It says the rest on stderr. */
function run(program: string, { path }: Fifo): { readonly stdin: Writable; readonly stderr: Readable } {
  const stdout = openSync(path, "w");
  const head = `import { guardOutputs, retryMs } from ${JSON.stringify(guard)};
guardOutputs();
const turn = () => new Promise((resolve) => setImmediate(resolve));`;
  const args = ["--import", "tsx", "--input-type=module", "--eval", `${head}\n${program}`];
  const child = spawn(process.execPath, args, { stdio: ["pipe", stdout, "pipe"] });
  closeSync(stdout);
  return { stdin: child.stdin as Writable, stderr: child.stderr as Readable };
}

const heard = (from: Readable) => new Promise<string>((resolve) => from.once("data", (data) => resolve(String(data))));

describe("a guarded output", () => {
  it("gives the stream one write at a time, in order, while its reader is stuck (GO4)", async () => {
    using stdout = new Fifo();
    const child = run(
      `let most = 0;
for (let i = 0; i < 500; i++) {
  process.stdout.write(\`\${i} \${"x".repeat(1000)}\\n\`);
  most = Math.max(most, process.stdout.writableLength);
}
console.error(most);`,
      stdout,
    );
    const most = Number(await heard(child.stderr));
    assert.ok(most > 0 && most <= 1005, `${most} bytes in the stream`);
    stdout.read();
    await stdout.until(/\n499 x{1000}\n/);
    const numbers = stdout.text.split("\n").slice(0, -1).map(Number.parseFloat);
    assert.deepEqual(
      numbers,
      Array.from({ length: 500 }, (_, i) => i),
    );
  });

  it("gives a stream that failed no write for a second, then one, and says how many were dropped (GO1, GO3)", async () => {
    using stdout = new Fifo();
    const child = run(
      `const write = () => new Promise((resolve) => process.stdout.write("x\\n", (error) => resolve(error)));
await new Promise((resolve) => process.stdin.once("data", resolve));
const { code } = await write();
const failedAt = performance.now();
await turn();
console.error(code);
let dropped = 0;
while ((await write()) != null) {
  dropped++;
  await turn();
}
const isSoon = performance.now() - failedAt < retryMs - 10;
console.error(JSON.stringify({ dropped, isSoon }));
process.exit();`,
      stdout,
    );
    stdout.close();
    const first = heard(child.stderr);
    child.stdin.write("go");
    assert.equal(await first, "EPIPE\n");
    stdout.open();
    stdout.read();
    const { dropped, isSoon } = JSON.parse(await text(child.stderr));
    assert.equal(isSoon, false);
    const [, told] = await stdout.until(/"msg":"(\d+) writes to stdout were dropped: .*\nx\n/);
    assert.equal(Number(told), dropped);
  });
});
