import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Project } from "./loading/project.js";

const modules = join(import.meta.dirname, "../node_modules");
const guide = join(import.meta.dirname, "../docs/guide/composing.md");
const compilerOptions = { target: "es2022", module: "nodenext", moduleResolution: "nodenext", strict: true };

const source = `import { api, depends, Service } from "ekiben";
import { z } from "zod";
class Audit extends Service() {
  write = api({ input: z.string(), output: z.string() }, (text) => text);
}
async function flush(): Promise<void> {}
export class Front extends Service() {
  audit = depends(Audit);
  run = api({ input: z.string(), output: z.string() }, async (text) => {
    flush();
    this.audit.write(text);
    await this.audit.write(text);
    return text;
  });
}
`;

/** Lines of the source with a promise that nobody awaits, as a linter of this repository reports them. */
async function lint(bin: string, args: readonly string[], files: Record<string, string>): Promise<readonly number[]> {
  using project = new Project({ files: { ...files, "service.ts": source } });
  const path = join(modules, bin);
  const output = await new Promise<string>((resolve) => {
    // oxlint finds its part for types there.
    const env = { ...process.env, PATH: `${join(modules, ".bin")}:${process.env["PATH"]}` };
    execFile(process.execPath, [path, ...args, "service.ts"], { cwd: project.folder, env }, (_, stdout, stderr) =>
      resolve(stdout + stderr),
    );
  });
  const lines = [...output.matchAll(/^::.*?line=(\d+).*$/gm)].filter(([text]) => /no-?floating-?promises/i.test(text));
  return lines.map(([, line]) => Number(line)).sort((a, b) => a - b);
}

describe("a promise that nobody awaits", () => {
  it("is found by oxlint in a call of a handle too, set up as docs/guide/composing.md says", async () => {
    const [, config = ""] = /in `\.oxlintrc\.json`.*?```json\n(.*?)```/s.exec(readFileSync(guide, "utf8")) ?? [];
    const files = { ".oxlintrc.json": config, "tsconfig.json": JSON.stringify({ compilerOptions }) };
    assert.deepEqual(await lint("oxlint/bin/oxlint", ["--format=github"], files), [10, 11]);
  });

  it("is found by biome in an author's own call, and not in one of a handle, as the guide says", async () => {
    const config = { linter: { rules: { nursery: { noFloatingPromises: "error" } } } };
    const files = { "biome.json": JSON.stringify(config) };
    // When biome learns the types of handles, line 11 is found too: then say so in the guide.
    assert.deepEqual(await lint("@biomejs/biome/bin/biome", ["lint", "--reporter=github"], files), [10]);
  });
});
