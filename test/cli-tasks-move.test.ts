import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { CommandProcess, runCommand } from "./cli-process.js";

const cwd = join(import.meta.dirname, "fixtures/renamed");
const root = mkdtempSync(join(tmpdir(), "ekiben-cli-move-"));
after(() => rmSync(root, { recursive: true, force: true }));

const serve = (file: string, env: Readonly<Record<string, string>>) =>
  new CommandProcess(["serve", file, "--port", "0", "--host", "127.0.0.1", "--drain-timeout-ms", "50"], { cwd, env });

async function ask(method: string, url: string, body?: string): Promise<any> {
  const json = body !== undefined && { body: JSON.stringify(body), headers: { "content-type": "application/json" } };
  return (await fetch(url, { method, ...json })).json();
}

describe("tasks of a renamed api, by the command line", () => {
  it("are shown with a remark, found by check, refused a retry, moved, and run", async () => {
    const env = { EKIBEN_DATA: join(root, "renamed"), EKIBEN_TASKS_NAMESPACE: "library" };
    const tasks = (...words: string[]) => runCommand(["tasks", ...words], { cwd, env });
    const ids: string[] = [];
    {
      using app = serve("before.ts", env);
      const url = await app.url();
      for (const text of ["done", "one", "two"]) {
        ids.push((await ask("POST", `${url}/index/submit`, text)).task_id);
        if (text === "done") await ask("GET", `${url}/index/get?task_id=${ids[0]}&wait=true`);
      }
      app.child.kill("SIGTERM");
      assert.equal((await app.ended).status, 0);
    }
    const [done = "", one = "", two = ""] = ids;
    const listed = await tasks("list", "after.ts");
    assert.equal(listed.status, 0, listed.stderr);
    const rows = listed.stdout.trimEnd().split("\n");
    assert.match(String(rows[0]), /REMARK$/);
    assert.match(
      String(rows.find((row) => row.startsWith(one))),
      /pending .*the app has no such task: move or cancel it$/,
    );
    assert.match(String(rows.find((row) => row.startsWith(done))), /completed .*the app has no such task$/);
    assert.match(listed.stderr, /namespace library, in .*tasks\.db/);
    assert.match(listed.stderr, /2 unfinished tasks of Library\.index, which the app does not have: ekiben tasks move/);
    const json = JSON.parse((await tasks("list", "after.ts", "--format", "json")).stdout);
    assert.equal(
      json.find(({ id }: { id: string }) => id === two).remark,
      "the app has no such task: move or cancel it",
    );
    // A name that the app no longer has is accepted while it has tasks.
    assert.equal((await tasks("list", "after.ts", "--api", "index")).status, 0);

    const checked = await runCommand(["check", "after.ts", "--no-types"], { cwd, env });
    assert.equal(checked.status, 0);
    assert.match(checked.stdout, /2 unfinished tasks belong to Library\.index, which the app does not have/);

    const retried = await tasks("retry", done, "after.ts");
    assert.deepEqual([retried.status, /this app no longer has a task Library\.index/.test(retried.stderr)], [1, true]);

    for (const [words, problem] of [
      [["Library.index"], /needs the old and the new name of a task api/],
      [
        ["Library.index", "Library.rindex"],
        /no task with tasks is named Library\.rindex; did you mean Library\.reindex/,
      ],
      [["Library.reindex", "Library.reindex"], /the app has the task Library\.reindex itself/],
    ] as const) {
      const refused = await tasks("move", ...words, ...(words.length === 2 ? ["after.ts"] : []));
      assert.match(refused.stderr, problem);
      assert.equal(refused.status, 2);
    }
    const moved = await tasks("move", "Library.index", "Library.reindex", "after.ts");
    assert.deepEqual([moved.status, moved.stdout], [0, "3 tasks were moved from Library.index to Library.reindex\n"]);

    using app = serve("after.ts", env);
    const url = await app.url();
    assert.equal(await ask("GET", `${url}/reindex/get?task_id=${one}&wait=true`), "one, again");
    assert.equal(await ask("GET", `${url}/reindex/get?task_id=${two}&wait=true`), "two, again");
    assert.equal(await ask("GET", `${url}/reindex/get?task_id=${done}`), "DONE");
  });

  it("whose key a task of the new name has are left, so that the same work does not run twice", async () => {
    const env = { EKIBEN_DATA: join(root, "keyed"), EKIBEN_TASKS_NAMESPACE: "library" };
    const headers = { "content-type": "application/json", "idempotency-key": "order 7" };
    for (const [file, path] of [
      ["before.ts", "index"],
      ["after.ts", "reindex"],
    ] as const) {
      using app = serve(file, env);
      await fetch(`${await app.url()}/${path}/submit`, { method: "POST", headers, body: '"one"' });
      app.child.kill("SIGTERM");
      assert.equal((await app.ended).status, 0);
    }
    const moved = await runCommand(["tasks", "move", "Library.index", "Library.reindex", "after.ts"], { cwd, env });
    assert.equal(moved.status, 0, moved.stderr);
    assert.match(moved.stdout, /^0 tasks were moved .*\n1 unfinished task was left: Library\.reindex has tasks with/);
  });

  it("of another namespace are named, shown when asked for, and moved from there", async () => {
    const data = join(root, "spaces");
    let id = "";
    {
      using app = serve("before.ts", { EKIBEN_DATA: data, EKIBEN_TASKS_NAMESPACE: "old" });
      id = (await ask("POST", `${await app.url()}/index/submit`, "one")).task_id;
      app.child.kill("SIGTERM");
      await app.ended;
    }
    const env = { EKIBEN_DATA: data };
    const tasks = (...words: string[]) => runCommand(["tasks", ...words, "after.ts"], { cwd, env });
    const own = await tasks("list");
    assert.equal(own.stdout, "no tasks\n");
    assert.match(own.stderr, /namespace ekiben\/after\.Library, in /);
    assert.match(own.stderr, /1 unfinished task of Library\.index in namespace old/);
    assert.match((await tasks("list", "--namespace", "old")).stdout, new RegExp(id));
    using app = serve("after.ts", env);
    const url = await app.url();
    await app.until(/1 tasks wait in namespaces that no running program has: old \(1\)/);
    const moved = await tasks("move", "Library.index", "Library.reindex", "--namespace", "old");
    assert.equal(moved.stdout, "1 task was moved from Library.index to Library.reindex\n", moved.stderr);
    assert.equal(await ask("GET", `${url}/reindex/get?task_id=${id}&wait=true`), "one, again");
  });
});

describe("tasks whose input no longer fits, by the command line", () => {
  it("are listed and shown as held, found by check, and retried one by one or all of an api", async () => {
    const env = { EKIBEN_DATA: join(root, "held"), EKIBEN_TASKS_NAMESPACE: "library" };
    const ids: string[] = [];
    {
      using app = serve("before.ts", env);
      const url = await app.url();
      for (const text of ["one", "two"]) ids.push((await ask("POST", `${url}/index/submit`, text)).task_id);
      app.child.kill("SIGTERM");
      assert.equal((await app.ended).status, 0);
    }
    const [one = "", two = ""] = ids;
    const command = (...words: string[]) => runCommand(words, { cwd, env });
    using app = serve("stricter.ts", env);
    const url = await app.url();
    const untilHeld = async (id: string) => {
      while ((await ask("GET", `${url}/index/status?task_id=${id}`)).held !== true);
    };
    for (const id of ids) await untilHeld(id);

    const listed = await command("tasks", "list", "stricter.ts", "--status", "held");
    assert.deepEqual(
      listed.stdout
        .trimEnd()
        .split("\n")
        .slice(1)
        .map((row) => row.split(/ {2,}/).slice(0, 3)),
      [two, one].map((id) => [id, "Library.index", "held"]),
      listed.stderr,
    );
    assert.equal((await command("tasks", "list", "stricter.ts", "--status", "pending")).stdout, "no tasks\n");
    const shown = await command("tasks", "show", one, "stricter.ts");
    assert.match(shown.stdout, /^status +held$/m);
    assert.match(shown.stdout, /^remark +its stored input was refused: show it, then retry or cancel it$/m);
    assert.match(shown.stdout, /^failure +task_input_refused: .*does not fit the contract of this version/m);
    const json = JSON.parse((await command("tasks", "show", one, "stricter.ts", "--format", "json")).stdout);
    assert.deepEqual([json.status, json.isHeld, json.attempt], ["pending", true, 0]);
    const checked = await command("check", "stricter.ts", "--no-types");
    assert.equal(checked.status, 0);
    assert.match(checked.stdout, /2 tasks of Library\.index are held: a version of the app refused their stored input/);

    const resumed = await command("tasks", "retry", one, "stricter.ts");
    assert.deepEqual([resumed.stdout.includes(one), /^status +pending$/m.test(resumed.stdout)], [true, true]);
    await untilHeld(one);
    const all = await command("tasks", "retry", "Library.index", "stricter.ts");
    assert.deepEqual([all.status, all.stdout], [0, "2 held tasks of Library.index wait to run\n"]);
    for (const id of ids) await untilHeld(id);
    const misspelt = await command("tasks", "retry", "Library.indx", "stricter.ts");
    assert.deepEqual([misspelt.status, /did you mean Library\.index\?/.test(misspelt.stderr)], [2, true]);
    assert.match((await command("tasks", "retry", "stricter.ts")).stderr, /needs the id of a task, 32 hex digits, or/);
    app.child.kill("SIGTERM");
    await app.ended;
  });
});
