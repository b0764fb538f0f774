import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Project } from "./loading/project.js";

const biome = join(import.meta.dirname, "../node_modules/@biomejs/biome/bin/biome");

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

describe("biome's rule for promises that nobody awaits", () => {
  it("finds an author's own call and not one of a handle, as docs/guide/composing.md says", async () => {
    const config = { linter: { rules: { nursery: { noFloatingPromises: "error" } } } };
    using project = new Project({ files: { "biome.json": JSON.stringify(config), "service.ts": source } });
    const output = await new Promise<string>((resolve) => {
      const args = [biome, "lint", "--reporter=github", "service.ts"];
      execFile(process.execPath, args, { cwd: project.folder }, (_, stdout, stderr) => resolve(stdout + stderr));
    });
    const lines = [...output.matchAll(/noFloatingPromises.*?line=(\d+)/g)].map(([, line]) => Number(line));
    // When biome learns the types of handles, line 11 is found too: then say so in the guide.
    assert.deepEqual(lines, [10], output);
  });
});
