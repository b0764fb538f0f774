import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { before, describe, it } from "node:test";
import ts from "typescript";
import { repositoryRoot } from "../scripts/repository.js";
import { formatDefault } from "../src/options/option.js";
import { options } from "../src/options/options.js";

const file = join(repositoryRoot, "test/option-hover-sample.ts");
const handleFile = join(repositoryRoot, "test/handle-hover-sample.ts");
const mistakeFile = join(repositoryRoot, "test/mistake-sample.ts");

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

const services = `import { api, type Handle, Service, tensor } from "ekiben";
import type { Client } from "ekiben/client";
import { z } from "zod";
class Model extends Service() {
  fuse = api({ input: { text: z.string(), image: tensor("float32", [3]), top: z.number().default(3) }, output: { label: z.string() } },
    ({ text }) => ({ label: text }));
  read = api({ input: z.object({ text: z.string() }), output: z.string() }, ({ text }) => text);
}
declare const model: Handle<Model>;
declare const client: Client<Model>;
`;

/** Calls, with marks before what a test looks at. */
const handleSample = `${services}
const image: never = undefined as never;
model./*fuse*/ fuse({ text: "x", image });
model./*read*/ read({ text: "x" });
client./*client.fuse*/ fuse({ text: "x", image });
new Model()./*direct*/ fuse({ text: "x", image });
`;

/** Mistakes, one in each line after a comment that names it. */
const mistakeSample = `${services}
/*no output*/ api({ input: z.string() }, (text: string) => text);
/*misspelt output*/ api({ input: z.string(), ouput: z.string() }, (text: string) => text);
/*two results*/ api({ output: z.string(), yields: z.string() }, () => "");
/*wrong field*/ model.fuse({ text: 5, image: undefined as never });
/*unknown field*/ model.fuse({ txt: "x", image: undefined as never });
/*missing field*/ model.fuse({ text: "x" });
`;
const samples = new Map([
  [file, sample],
  [handleFile, handleSample],
  [mistakeFile, mistakeSample],
]);

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

describe("the types of calls in an editor", () => {
  let service: ts.LanguageService;
  before(() => {
    service = ts.createLanguageService(createHost());
  });
  const typeOf = (name: string) => hover(service, name, handleFile).type.replaceAll(/\s+/g, " ");
  const fields = '{ text: string; image: Tensor<"float32", readonly [3]>; top?: number | undefined; }';

  it("are flat: an input that is an object of schemas is an object", () => {
    const problems = service.getSemanticDiagnostics(handleFile).map(({ messageText }) => messageText);
    assert.deepEqual(problems, []);
    assert.equal(
      typeOf("fuse"),
      `(property) fuse: (input: MaybePromises<${fields}>, options?: CallOptions | undefined) => Promise<{ label: string; }>`,
    );
    assert.equal(
      typeOf("client.fuse"),
      `(property) fuse: (input: MaybePromises<${fields}>, options?: ClientCallOptions | undefined) => Promise<{ label: string; }>`,
    );
    assert.equal(
      typeOf("read"),
      "(property) read: (input: MaybePromises<{ text: string; }>, options?: CallOptions | undefined) => Promise<string>",
    );
    const direct = `(property) Model.fuse: (input: ${fields}) => Promise<{ label: string; }>`;
    assert.equal(typeOf("direct").replace("Api (", "("), direct);
  });

  it("explain a mistake in words of the contract", () => {
    const texts = readMistakes(service);
    assert.match(texts.get("no output") ?? "", /Property 'output' is missing in type '\{ input: z\.ZodString; \}'/);
    assert.match(
      texts.get("misspelt output") ?? "",
      /'ouput' does not exist in type .*did you mean to write 'output'\?/i,
    );
    assert.match(texts.get("two results") ?? "", /'ZodString' is not assignable to type .*"not beside output"/);
    assert.match(texts.get("wrong field") ?? "", /^Type 'number' is not assignable to type 'MaybePromise<string>'/);
    assert.match(texts.get("unknown field") ?? "", /'txt' does not exist in type 'MaybePromises<\{ text: string; /);
    assert.match(texts.get("missing field") ?? "", /Property 'image' is missing in type '\{ text: string; \}'/);
    for (const text of texts.values()) assert.doesNotMatch(text, /Omit<|Pick<|Partial<|Simplify|Flat</);
  });
});

/** Reads the compiler's message for each mistake of the sample, by the name in its comment. */
function readMistakes(service: ts.LanguageService): Map<string, string> {
  return new Map(
    service.getSemanticDiagnostics(mistakeFile).map(({ start = 0, messageText }) => {
      const line = mistakeSample.slice(0, start).split("\n").at(-1) ?? "";
      const name = /\/\*(.*?)\*\//.exec(line)?.[1] ?? line;
      return [name, ts.flattenDiagnosticMessageText(messageText, "\n")];
    }),
  );
}

function hover(
  service: ts.LanguageService,
  name: string,
  path = file,
): { readonly type: string; readonly documentation: string } {
  const mark = `/*${name}*/ `;
  const text = samples.get(path) as string;
  const info = service.getQuickInfoAtPosition(path, text.indexOf(mark) + mark.length);
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
  const read = (path: string) => samples.get(path) ?? (existsSync(path) ? readFileSync(path, "utf8") : undefined);
  return {
    getCompilationSettings: () => options,
    getScriptFileNames: () => [...samples.keys()],
    getScriptVersion: () => "1",
    getScriptSnapshot: (path) => {
      const text = read(path);
      return text === undefined ? undefined : ts.ScriptSnapshot.fromString(text);
    },
    getCurrentDirectory: () => repositoryRoot,
    getDefaultLibFileName: ts.getDefaultLibFilePath,
    fileExists: (path) => samples.has(path) || ts.sys.fileExists(path),
    readFile: read,
    readDirectory: ts.sys.readDirectory,
    directoryExists: ts.sys.directoryExists,
    getDirectories: ts.sys.getDirectories,
    ...(ts.sys.realpath !== undefined && { realpath: ts.sys.realpath }),
  };
}
