import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { CommandProcess, type CommandResult, runCommand } from "../cli-process.js";

const root = join(import.meta.dirname, "../..");

/** A shop: an entry, an inline service, a model in its own file, and one in the file of the entry. */
export const shop: Readonly<Record<string, string>> = {
  "package.json": JSON.stringify({ name: "shop", type: "module", private: true }),
  "service.ts": `
import { api, depends, Service } from "ekiben";
import { z } from "zod";
import { Model, labels } from "./model.ts";
import { Words } from "./words.ts";

/** Runs elsewhere, though it stands in the file of the entry. */
export class Style extends Service({ resources: { cpu: 1 } }) {
  judge = api({ input: z.string(), output: z.enum(["loud", "quiet"]) }, (text) => {
    const secretOfStyle = text.toUpperCase();
    return secretOfStyle === text ? "loud" : "quiet";
  });
}

export class Shop extends Service({ timeoutMs: 5000 }) {
  model = depends(Model, { timeoutMs: 3000 });
  words = depends(Words);
  style = depends(Style);

  ask = api({ input: { text: z.string() }, output: z.object({ label: z.enum(labels), words: z.number(), style: z.string() }) }, async ({ text }) => ({
    label: await this.model.label(text),
    words: await this.words.count(text),
    style: await this.style.judge(text),
  }));
}
`,
  "words.ts": `
import { api, Service } from "ekiben";
import { z } from "zod";
export class Words extends Service({ placement: "inline" }) {
  count = api({ input: z.string(), output: z.number() }, (text) => text.split(" ").length);
}
`,
  "model.ts": `
import { readFile } from "node:fs/promises";
import { api, resource, Service } from "ekiben";
import { z } from "zod";
import { pick } from "./runtime.ts";

export const labels = ["spam", "ham"] as const;
const weights = new URL("weights.bin", import.meta.url);

export class Model extends Service({ resources: { cpu: 1 } }) {
  weights = resource(() => readFile(weights, "utf8"));
  label = api({ input: z.string(), output: z.enum(labels) }, (text) => pick(labels, this.weights, text));
}
`,
  "runtime.ts": `
globalThis.modelRuntime = "loaded";
export const pick = (labels: readonly ["spam", "ham"], weights: string, text: string) => labels[text.includes(weights.trim()) ? 0 : 1];
`,
  "weights.bin": "win\n",
};

/** Project of a test, in a folder of its own. It uses the packages of this repository. */
export class Project implements Disposable {
  readonly folder: string;

  constructor(files: Readonly<Record<string, string>> = shop) {
    this.folder = realpathSync(mkdtempSync(join(tmpdir(), "ekiben-build-")));
    symlinkSync(join(root, "node_modules"), join(this.folder, "node_modules"));
    this.write(files);
  }

  get out(): string {
    return join(this.folder, ".ekiben/build");
  }

  write(files: Readonly<Record<string, string>>): void {
    for (const [name, text] of Object.entries(files)) {
      mkdirSync(dirname(join(this.folder, name)), { recursive: true });
      writeFileSync(join(this.folder, name), text);
    }
  }

  build(args: readonly string[] = [], env: Readonly<Record<string, string>> = {}): Promise<CommandResult> {
    return runCommand(["build", ...args], { cwd: this.folder, env });
  }

  /** Copies the build to a folder that has no packages above it. */
  copyOut(): Copy {
    return new Copy(this.out);
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Build in another place, as on another machine. */
export class Copy implements Disposable {
  readonly folder = realpathSync(mkdtempSync(join(tmpdir(), "ekiben-copy-")));

  constructor(build: string) {
    cpSync(build, join(this.folder, "app"), { recursive: true });
  }

  get app(): string {
    return join(this.folder, "app");
  }

  /** Starts it by plain Node. */
  start(args: readonly string[] = [], env: Readonly<Record<string, string>> = {}): CommandProcess {
    return new CommandProcess([...args], { main: join(this.app, "start.mjs"), cwd: this.folder, env });
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }
}

/** Calls an api over HTTP. */
export async function ask(url: string, api: string, body: unknown): Promise<unknown> {
  const response = await fetch(`${url}/${api}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  return await response.json();
}
