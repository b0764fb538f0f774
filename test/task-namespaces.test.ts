import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { CommandProcess } from "./cli-process.js";

const cwd = join(import.meta.dirname, "fixtures/two-apps");
const root = mkdtempSync(join(tmpdir(), "ekiben-namespaces-"));
after(() => rmSync(root, { recursive: true, force: true }));

const serve = (file: string, env: Readonly<Record<string, string>>) =>
  new CommandProcess(["serve", file, "--port", "0", "--host", "127.0.0.1", "--no-http-access-log"], { cwd, env });

const post = async (url: string, n: number): Promise<string> => {
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${url}/run`, { method: "POST", headers, body: String(n) });
  return (await response.json()) as string;
};

describe("two programs with one data folder", () => {
  it("run each their own tasks, though their services and tasks have the same names", async () => {
    const env = { EKIBEN_DATA: join(root, "apart") };
    using a = serve("a.ts", env);
    using b = serve("b.ts", env);
    const [ofA, ofB] = await Promise.all([a.url(), b.url()]);
    const numbers = Array.from({ length: 50 }, (_, n) => n);
    const [byA, byB] = await Promise.all([ofA, ofB].map((url) => Promise.all(numbers.map((n) => post(url, n)))));
    assert.deepEqual(
      byA,
      numbers.map((n) => `a ran ${n}`),
    );
    assert.deepEqual(
      byB,
      numbers.map((n) => `b ran ${n}`),
    );
  });

  it("neither see nor touch a task of the other by its id", async () => {
    const env = { EKIBEN_DATA: join(root, "unseen") };
    using a = serve("a.ts", env);
    using b = serve("b.ts", env);
    const [ofA, ofB] = await Promise.all([a.url(), b.url()]);
    const response = await fetch(`${ofA}/run/submit`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "1",
    });
    const { task_id: id } = (await response.json()) as { task_id: string };
    assert.equal((await fetch(`${ofA}/run/status?task_id=${id}`)).status, 200);
    for (const [method, path] of [
      ["GET", "status"],
      ["GET", "get"],
      ["PUT", "cancel"],
      ["POST", "retry"],
    ]) {
      const answer = await fetch(`${ofB}/run/${path}?task_id=${id}`, { method: method as string });
      assert.deepEqual([answer.status, ((await answer.json()) as { id: string }).id], [404, "unknown_task"], path);
    }
  });

  it("share them where they are given one namespace", async () => {
    const env = { EKIBEN_DATA: join(root, "shared"), EKIBEN_TASKS_NAMESPACE: "both" };
    using a = serve("a.ts", env);
    const url = await a.url();
    const response = await fetch(`${url}/run/submit`, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: "1",
    });
    const { task_id: id } = (await response.json()) as { task_id: string };
    using b = serve("b.ts", env);
    const result = await fetch(`${await b.url()}/run/get?task_id=${id}&wait=true`);
    assert.match((await result.json()) as string, /^[ab] ran 1$/);
  });
});
