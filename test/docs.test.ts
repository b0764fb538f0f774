import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { after, describe, it } from "node:test";
import { promisify } from "node:util";
import ts from "typescript";
import { type CodeBlock, findBrokenLinks, readCodeBlocks } from "./read-markdown.js";

const root = join(import.meta.dirname, "..");
const run = promisify(execFile);

const pages = ["", "docs", "examples"].flatMap((folder) =>
  readdirSync(join(root, folder), { recursive: folder !== "", withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".md"))
    .map((entry) => relative(root, join(entry.parentPath, entry.name))),
);

/**
 * Folder for the code blocks of a page. Git ignores it, and it is below the root, so that "ekiben" resolves as for
 * users.
 */
const folderOf = (page: string) => join(root, ".ekiben/docs", page.replace(/\W/g, "-"));
const typescriptBlocks = (page: string) => readCodeBlocks(join(root, page)).filter(({ language }) => language === "ts");
const fileOf = (page: string, { file, line }: CodeBlock) => join(folderOf(page), file ?? `line-${line}.ts`);

describe("the documentation", () => {
  after(() => rm(join(root, ".ekiben/docs"), { recursive: true, force: true }));

  it("has TypeScript that compiles, in strict mode, in every page", () => {
    const sources = new Map<string, { page: string; block: CodeBlock }>();
    for (const page of pages) {
      for (const block of typescriptBlocks(page)) {
        const file = fileOf(page, block);
        assert.ok(!sources.has(file), `${page} names ${block.file} twice`);
        sources.set(file, { page, block });
      }
    }
    assert.ok(sources.size > 10, `${sources.size} blocks were found`);
    assert.deepEqual(
      findErrors(new Map([...sources].map(([file, { block }]) => [file, block.code]))).map(({ file, line, text }) => {
        const source = sources.get(file);
        return source === undefined ? `${file}: ${text}` : `${source.page}:${source.block.line + line}: ${text}`;
      }),
      [],
    );
  });

  for (const page of pages) {
    const tests = typescriptBlocks(page).filter(({ file }) => file?.endsWith(".test.ts"));
    if (tests.length === 0) continue;
    it(`has tests in ${page} that pass`, async () => {
      await mkdir(folderOf(page), { recursive: true });
      for (const block of typescriptBlocks(page)) await writeFile(fileOf(page, block), block.code);
      const { NODE_TEST_CONTEXT: _, ...env } = process.env;
      const files = tests.map((block) => fileOf(page, block));
      await run(process.execPath, ["--import", "tsx", "--test", ...files], { cwd: root, env });
    });
  }

  it("links to files and headings that exist", () => {
    const broken = pages.flatMap((page) => findBrokenLinks(join(root, page)).map((target) => `${page} -> ${target}`));
    assert.deepEqual(broken, []);
  });
});

describe("docs/how-to/README.md", () => {
  it("links to each page beside it, and to no other", () => {
    const folder = join(root, "docs/how-to");
    const text = readFileSync(join(folder, "README.md"), "utf8");
    const linked = [...text.matchAll(/\]\(([\w-]+\.md)\)/g)].map(([, page = ""]) => page);
    assert.deepEqual(
      linked.sort(),
      readdirSync(folder).filter((page) => page !== "README.md"),
    );
  });
});

describe("test/README.md", () => {
  it("names each file and folder of test/, and nothing else", () => {
    const listed = [...readFileSync(join(root, "test/README.md"), "utf8").matchAll(/^\|(?: `[^|]*) \|/gm)].flatMap(
      ([cell]) => [...cell.matchAll(/`([^`]+)`/g)].map(([, name = ""]) => name),
    );
    const entries = readdirSync(join(root, "test"), { withFileTypes: true });
    const names = entries.map((entry) => (entry.isDirectory() ? `${entry.name}/` : entry.name));
    assert.deepEqual(listed.sort(), names.filter((name) => name !== "README.md").sort());
  });
});

/** Compiles files that exist only in memory, beside the files on disk. */
function findErrors(sources: ReadonlyMap<string, string>): { file: string; line: number; text: string }[] {
  const { config } = ts.readConfigFile(join(root, "tsconfig.json"), ts.sys.readFile) as { config: object };
  const { options } = ts.parseJsonConfigFileContent({ ...config, include: [] }, ts.sys, root);
  const compilerOptions = { ...options, noEmit: true, allowImportingTsExtensions: true };
  const host = ts.createCompilerHost(compilerOptions, true);
  const { fileExists, readFile, getSourceFile, directoryExists } = host;
  host.fileExists = (file) => sources.has(file) || fileExists(file);
  host.readFile = (file) => sources.get(file) ?? readFile(file);
  host.directoryExists = (folder) => folder.startsWith(join(root, ".ekiben")) || directoryExists?.(folder) === true;
  host.getSourceFile = (file, target, ...rest) => {
    const text = sources.get(file);
    return text === undefined ? getSourceFile(file, target, ...rest) : ts.createSourceFile(file, text, target, true);
  };
  const program = ts.createProgram([...sources.keys()], compilerOptions, host);
  return ts.getPreEmitDiagnostics(program).map(({ file, start, messageText }) => ({
    file: file?.fileName ?? "",
    line: file === undefined || start === undefined ? 0 : file.getLineAndCharacterOfPosition(start).line,
    text: ts.flattenDiagnosticMessageText(messageText, "\n"),
  }));
}
