import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { prepareModule } from "./author-module.js";

const prepare = (text: string, callees: readonly string[] = [], exported: readonly string[] = []) =>
  prepareModule({
    text,
    place: "shop/model.ts",
    callees: callees.map((local) => ({ local, service: local })),
    exported,
  });

/** Part of a template in the code of an author. */
const hole = ["$", "{name}"].join("");

/** Assets that a text names: patterns, or what is unknown in brackets. */
const assetsOf = (text: string) =>
  prepare(text).uses.flatMap(({ asset, unknown }) => asset ?? (unknown === undefined ? [] : [`(${unknown})`]));

describe("prepareModule", () => {
  it("gives each use of the own place a name of its own (AM1)", () => {
    const { contents, uses } = prepare(
      'const a = import.meta.url;\n// import.meta.url\nconst b = import.meta.dirname + "/x.bin";',
    );
    assert.deepEqual(
      uses.map(({ line }) => line),
      [1, 3],
    );
    assert.equal(new Set(uses.map(({ name }) => name)).size, 2);
    for (const { name } of uses) assert.ok(contents.includes(name));
    assert.match(contents, /\/\/ import\.meta\.url/);
    assert.match(contents, /import \{ (place_\w+_1) \} from "ekiben-place:dirname:\1:shop\/model\.ts";$/);
  });

  it("finds the files that code names", () => {
    assert.deepEqual(assetsOf('new URL("./a.bin", import.meta.url)'), ["./a.bin"]);
    assert.deepEqual(assetsOf(`new URL(\`models/${hole}.onnx\`, import.meta.url)`), ["models/*.onnx"]);
    assert.deepEqual(assetsOf('join(import.meta.dirname, "fixtures", "documents")'), ["fixtures/documents"]);
    assert.deepEqual(assetsOf('join(import.meta.dirname, "fixtures", name)'), ["fixtures/"]);
    assert.deepEqual(assetsOf(`readFileSync(\`${hole.replace("name", "__dirname")}/a/${hole}.txt\`)`), ["a/*.txt"]);
    assert.deepEqual(assetsOf('readFileSync(__dirname + "/a.txt")'), ["a.txt"]);
  });

  it("tells what it can't know, and what is no file of the author", () => {
    assert.deepEqual(assetsOf("new URL(name, import.meta.url)"), ["(new URL(name, import.meta.url)"]);
    assert.deepEqual(assetsOf("join(import.meta.dirname, name)"), ["(join(import.meta.dirname,)"]);
    assert.deepEqual(assetsOf('new URL(".", import.meta.url)'), ['(".")']);
    assert.deepEqual(assetsOf('join(import.meta.dirname, ".ekiben")'), []);
    assert.deepEqual(assetsOf("serve(App, { from: import.meta.url })"), []);
    assert.deepEqual(assetsOf("const require = createRequire(import.meta.url)"), []);
  });

  it("leaves a __dirname that the file makes itself", () => {
    const text = 'const __dirname = dirname(fileURLToPath(import.meta.url));\nread(join(__dirname, "a.bin"));';
    const { contents } = prepare(text);
    assert.match(contents, /const __dirname = /);
    assert.deepEqual(assetsOf(text), ["a.bin"]);
  });

  it("puts the contract of a callee in the place of its class (AM2)", () => {
    const forms: [string, RegExp][] = [
      [
        "export class Model extends Service() {",
        /^export const Model = Model__callee; class Model__code extends \/\* @__PURE__ \*\/ Service\(\) \{/,
      ],
      ["class Model extends Service() {", /^const Model = Model__callee; class Model__code extends /],
      [
        "export default class Model extends Service() {",
        /^const Model = Model__callee; export default Model__callee; class Model__code {2}extends /,
      ],
      [
        "export const Model = make(1);",
        /^export const Model = Model__callee; const Model__code = \/\* @__PURE__ \*\/ {2}make\(1\);/,
      ],
      [
        "export const Model: ServiceClass = class extends Service() {",
        /^export const Model = Model__callee; const Model__code = /,
      ],
    ];
    for (const [text, expected] of forms) {
      const { contents } = prepare(text, ["Model"]);
      assert.match(contents, expected);
      assert.match(contents, /import \{ callee as Model__callee \} from "ekiben-callee:Model";$/);
    }
    assert.doesNotMatch(prepare("  class Model extends Service() {}", ["Model"]).contents, /__callee/);
    assert.doesNotMatch(prepare("class Models extends Service() {}", ["Model"]).contents, /__callee/);
  });

  it("exports the classes that the entry imports", () => {
    assert.match(
      prepare("class Model extends Service() {}", [], ["Model"]).contents,
      /export \{ Model as Model__service \};$/,
    );
  });

  it("finds imports of a computed name", () => {
    const unknown = (text: string) => prepare(text).unknownImports.map(({ line }) => line);
    assert.deepEqual(unknown("await import(name)"), [1]);
    assert.deepEqual(unknown(`\nrequire(\`${hole}/x\`)`), [2]);
    assert.deepEqual(unknown('const name = "node:sqlite";\nawait import(name)'), []);
    assert.deepEqual(unknown(`await import("./a.js"); await import(\`./plugins/${hole}.js\`); require("x")`), []);
  });
});
