import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { CommandProcess, runCommand } from "./cli-process.js";

const root = join(import.meta.dirname, "..");

/** Source of a pipeline; each version has its own types. */
const sourceOf = (limit: string, label: string) => `
import { api, depends, Service } from "ekiben";
import { z } from "zod";
export class Ranker extends Service() {
  score = api({ input: z.object({ text: z.string(), limit: ${limit} }), output: z.object({ label: ${label} }) }, () => ({ label: "a" as const }));
}
export default class Entry extends Service() {
  ranker = depends(Ranker);
  ask = api({ input: z.string(), output: z.string() }, (text) => text);
}
`;

describe("ekiben contract and check --against", { concurrency: 2 }, () => {
  let folder: string;
  let contract: string;
  const fileOf = (name: string) => join(folder, `${name}.ts`);

  before(async () => {
    await mkdir(join(root, ".ekiben"), { recursive: true });
    folder = await mkdtemp(join(root, ".ekiben/contract-"));
    await writeFile(fileOf("old"), sourceOf("z.int().max(100)", 'z.enum(["a", "b"])'));
    await writeFile(fileOf("wider"), sourceOf("z.int().max(200)", 'z.enum(["a"])'));
    await writeFile(fileOf("narrower"), sourceOf("z.int().max(50)", 'z.enum(["a", "b"])'));
    await writeFile(fileOf("unsure"), sourceOf("z.int().max(100).refine((n) => n !== 7)", 'z.enum(["a", "b"])'));
    contract = join(folder, "contract.json");
    const { status, stderr } = await runCommand(["contract", fileOf("old"), "--output", contract]);
    assert.equal(status, 0, stderr);
  });
  after(() => rm(folder, { recursive: true, force: true }));

  it("prints the contracts of all services, and finds no change in the same version", async () => {
    const { stdout } = await runCommand(["contract", fileOf("old")]);
    const { entry, contracts } = JSON.parse(stdout);
    assert.deepEqual(
      [entry, contracts.map(({ service }: { service: string }) => service)],
      ["Entry", ["Ranker", "Entry"]],
    );
    const { status, stdout: said } = await runCommand(["check", fileOf("old"), "--against", contract]);
    assert.deepEqual([status, said], [0, "ok: 2 services compared, no changes\n"]);
  });

  it("accepts what callers can live with, and says in which order to replace", async () => {
    const { status, stdout } = await runCommand(["check", fileOf("wider"), "--against", contract]);
    assert.equal(status, 0);
    assert.match(
      stdout,
      /compatible Ranker\.score\.input\.limit: integer <= 100 -> integer <= 200\n {4}callers of the new version may send what the old one refuses, for example/,
    );
    assert.match(
      stdout,
      /ok: 2 services compared, 0 breaking, 0 unknown, 2 compatible\n {2}roll out: the service first, then its callers\n$/,
    );
  });

  it("fails for what breaks callers, with a value that shows it", async () => {
    const { status, stdout } = await runCommand(["check", fileOf("narrower"), "--against", contract]);
    assert.equal(status, 1);
    assert.match(
      stdout,
      /breaking Ranker\.score\.input\.limit: .*\n {4}callers of the old version may send what the new one refuses, for example \{"limit":\d+,"text":""\}\n/,
    );
    assert.match(stdout, /not ok: .* 1 breaking/);
    assert.match(stdout, /roll out: the callers first, then the service/);
  });

  it("does not fail for what it can't compare, and says so", async () => {
    const { status, stdout } = await runCommand(["check", fileOf("unsure"), "--against", contract]);
    assert.equal(status, 0);
    assert.match(stdout, /unknown Ranker\.score\.input\.limit: .* -> .* checked by custom\n {4}can't be compared/);
  });

  it("prints JSON for other programs", async () => {
    const { status, stdout } = await runCommand(["check", fileOf("narrower"), "--against", contract, "--json"]);
    assert.equal(status, 1);
    const { isBreaking, rollout, services, changes } = JSON.parse(stdout);
    assert.deepEqual([isBreaking, rollout, services], [true, "callers first", ["Ranker", "Entry"]]);
    assert.deepEqual(
      changes.map(({ field }: { field: string }) => field),
      ["input.limit"],
    );
  });

  it("reads a build folder", async () => {
    const build = join(folder, "build");
    await mkdir(join(build, "Ranker"), { recursive: true });
    const { stdout: text } = await runCommand(["contract", fileOf("old")]);
    const ranker = JSON.parse(text).contracts[0];
    await writeFile(join(build, "Ranker/contract.json"), JSON.stringify(ranker));
    const { status, stdout } = await runCommand(["check", fileOf("narrower"), "--against", build]);
    assert.equal(status, 1);
    assert.match(stdout, /1 service compared/);
  });

  it("names a service that is gone", async () => {
    await writeFile(
      fileOf("alone"),
      sourceOf("z.int().max(100)", 'z.enum(["a", "b"])').replace("ranker = depends(Ranker);", ""),
    );
    const { status, stdout } = await runCommand(["check", `${fileOf("alone")}:Entry`, "--against", contract]);
    assert.equal(status, 1);
    assert.match(stdout, /breaking Ranker: a service -> absent/);
  });

  it("compares with a running app", async () => {
    using app = new CommandProcess(["serve", fileOf("old"), "--port", "0"]);
    const url = await app.url();
    const { status, stdout } = await runCommand(["check", fileOf("narrower"), "--against", url]);
    assert.deepEqual([status, stdout], [0, "ok: 1 service compared, no changes\n"]);
  });

  describe("refuses as a place", () => {
    let server: Server;
    let url: string;
    before(async () => {
      server = createServer((request, response) => {
        if (request.url === "/schema.json") response.end("{}");
        else if (request.url === "/big") response.end(Buffer.alloc(17 * 1024 ** 2, " "));
        else response.writeHead(404).end();
      });
      await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
      url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    });
    after(() => server.close());

    const places: readonly (readonly [what: string, place: () => string, problem: RegExp])[] = [
      ["a folder without contracts", () => join(root, "docs"), /the folder has no <Service>\/contract\.json/],
      ["a file that is not there", () => join(folder, "none.json"), /no such file/i],
      ["a file that is no JSON", () => fileOf("old"), /it is not JSON/],
      ["an app of an older ekiben", () => url, /it has no contract/],
      ["a page that is not there", () => `${url}/nothing`, /\/nothing answers with 404/],
      ["a document without end", () => `${url}/big`, /more than 16777216 bytes/],
      ["a port where nothing listens", () => "http://127.0.0.1:1", /ECONNREFUSED|bad port/],
    ];
    for (const [what, place, problem] of places) {
      it(what, async () => {
        const { status, stdout, stderr } = await runCommand(["check", fileOf("old"), "--against", place()]);
        assert.deepEqual([status, stdout], [1, ""]);
        assert.match(stderr, problem);
        assert.match(stderr, /fix: Give a build folder/);
      });
    }

    it("nothing at all with --json", async () => {
      const { status, stderr } = await runCommand(["check", fileOf("old"), "--json"]);
      assert.equal(status, 2);
      assert.match(stderr, /--json of check goes with --against/);
    });
  });
});
