import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { promisify } from "node:util";
import { type Server, serve } from "ekiben";
import openapiTS, { astToString, stringToAST } from "openapi-typescript";
import { repositoryRoot, typescriptBin } from "../scripts/repository.js";
import { Library } from "./openapi/services.js";

const execute = promisify(execFile);

/** Folder inside the repository, so that the program finds the packages it imports. */
const parent = join(repositoryRoot, "node_modules/.cache");

describe("a client that openapi-typescript makes from /openapi.json", () => {
  let server: Server;
  let folder: string;
  before(async () => {
    mkdirSync(parent, { recursive: true });
    folder = mkdtempSync(join(parent, "openapi-client-"));
    server = await serve(Library, {
      ...{ port: 0, host: "127.0.0.1" },
      options: { placement: "inline", logLevel: "silent", data: folder },
    });
  });
  after(async () => {
    await server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("compiles, and calls with JSON, forms, files, tensors, lists of a stream and tasks", async () => {
    const types = await openapiTS(new URL("/openapi.json", server.url), {
      transform: ({ format }) => (format === "binary" ? (stringToAST("type T = Blob")[0] as any).type : undefined),
    });
    writeFileSync(join(folder, "api.ts"), astToString(types));
    const program = join(folder, "program.ts");
    copyFileSync(join(import.meta.dirname, "openapi/client-program.ts.txt"), program);
    writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
    const options = [
      "--ignoreConfig",
      "--strict",
      "--noEmit",
      "--skipLibCheck",
      "--target",
      "esnext",
      "--module",
      "nodenext",
    ];
    await run([typescriptBin("7"), ...options, "--types", "node", "--lib", "esnext,dom", program]);
    assert.deepEqual(JSON.parse(await run(["--import", "tsx", program, server.url])), {
      text: "hello Ada",
      failure: "no_such_person",
      total: 2,
      said: "page.txt: 5 x+y",
      weighed: 3,
      doubled: [2, 5],
      sum: 6,
      indexed: 7,
    });
  });
});

/**
 * Runs asynchronously, since the server runs in this process. @throws {Error} with the output of the program when it
 * failed.
 */
async function run(args: readonly string[]): Promise<string> {
  try {
    return (await execute(process.execPath, [...args], { cwd: repositoryRoot })).stdout;
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`${stdout}\n${stderr}`);
  }
}
