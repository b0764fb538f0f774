import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import ts from "typescript";
import { repositoryRoot } from "../scripts/repository.js";
import { formatDefault } from "../src/options/option.js";
import { options } from "../src/options/options.js";

const file = join(repositoryRoot, "test/option-hover-sample.ts");

/** Options as an author writes them, with `marks such as `port` in a comment before each field that a test looks at. */
const sample = `import type { AppFile, ContractOptions, ServiceOptions } from "ekiben";
export const app: AppFile = {
  /*port*/ port: 1,
  /*http*/ http: { /*http.maxBodyBytes*/ maxBodyBytes: "1MiB" },
  /*liveness*/ liveness: { /*liveness.suspendAfterMs*/ suspendAfterMs: 10 },
  /*placement*/ placement: "thread",
  services: { Model: { apis: { run: { /*timeoutMs*/ timeoutMs: 1 } } } },
};
export const service: ServiceOptions = { resources: { memory: 1 } };
export const contract: ContractOptions = { /*maxQueued*/ maxQueued: 1 };
`;

describe("the types of options in an editor", () => {
  let service: ts.LanguageService;
  before(() => {
    service = ts.createLanguageService(createHost());
  });

  it("compile as an author writes them", () => {
    const problems = service.getSemanticDiagnostics(file).map(({ messageText }) => messageText);
    assert.deepEqual(problems, []);
  });

  for (const name of ["port", "http.maxBodyBytes", "liveness.suspendAfterMs", "placement", "timeoutMs", "maxQueued"]) {
    it(`show the text and the default of ${name}`, () => {
      const option = options.get(name);
      assert.ok(option !== undefined);
      const expected = `${option.text} Default: ${formatDefault(option)}.`;
      assert.equal(hover(service, name).documentation.replaceAll("\n", " "), expected);
    });
  }

  it("show what may be written, without the table behind it", () => {
    assert.equal(hover(service, "port").type, "(property) port?: number");
    assert.equal(hover(service, "http.maxBodyBytes").type, "(property) maxBodyBytes?: string | number");
    assert.match(hover(service, "placement").type, /^\(property\) placement\?: ("(inline|thread|process)"( \| )?){3}$/);
    assert.match(hover(service, "http").type, /^\(property\) http\?: \{\s+readonly cors\?: [^{}]+\}$/);
    assert.equal(hover(service, "liveness").documentation, "Checks that the event loop of each replica runs.");
  });
});

function hover(service: ts.LanguageService, name: string): { readonly type: string; readonly documentation: string } {
  const mark = `/*${name}*/ `;
  const info = service.getQuickInfoAtPosition(file, sample.indexOf(mark) + mark.length);
  return {
    type: ts.displayPartsToString(info?.displayParts),
    documentation: ts.displayPartsToString(info?.documentation),
  };
}

function createHost(): ts.LanguageServiceHost {
  const options: ts.CompilerOptions = {
    ...{ target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.NodeNext, strict: true, noEmit: true },
    ...{ exactOptionalPropertyTypes: true, skipLibCheck: true, types: ["node"] },
  };
  const read = (path: string) => (path === file ? sample : existsSync(path) ? readFileSync(path, "utf8") : undefined);
  return {
    getCompilationSettings: () => options,
    getScriptFileNames: () => [file],
    getScriptVersion: () => "1",
    getScriptSnapshot: (path) => {
      const text = read(path);
      return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text);
    },
    getCurrentDirectory: () => repositoryRoot,
    getDefaultLibFileName: ts.getDefaultLibFilePath,
    fileExists: (path) => path === file || ts.sys.fileExists(path),
    readFile: read,
    readDirectory: ts.sys.readDirectory,
    directoryExists: ts.sys.directoryExists,
    getDirectories: ts.sys.getDirectories,
    ...(ts.sys.realpath !== undefined && { realpath: ts.sys.realpath }),
  };
}
