import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { dirname, extname, join, relative, resolve } from "node:path";
import type { Finding } from "../graph/check-graph.js";

/** The compiler is ended after this long. */
const maxTypesMs = 300_000;

/** Checks the types of a service file with the TypeScript and the tsconfig.json of its own project. */
export async function checkTypes(file: string): Promise<Finding[]> {
  if (!/^\.[cm]?tsx?$/.test(extname(file))) return [note("types were not checked: this is JavaScript", "")];
  const path = resolve(file);
  const compiler = findUpwards(dirname(path), "node_modules/typescript/bin/tsc");
  const project = findUpwards(dirname(path), "tsconfig.json");
  if (compiler === undefined) {
    return [note("types were not checked: the project has no TypeScript", "npm install --save-dev typescript")];
  }
  if (project === undefined) {
    return [note("types were not checked: there is no tsconfig.json", "npx tsc --init --strict")];
  }
  const { status, output } = await runCompiler(compiler, project);
  const shown = relative(process.cwd(), project);
  if (status === undefined) return [note(`types were not checked: tsc did not end within ${maxTypesMs} ms`, "")];
  const isIncluded = output.split("\n").some((line) => resolve(line.trim()) === path);
  const faults = parseDiagnostics(output);
  if (status !== 0 && faults.length === 0) {
    return [fault(shown, `tsc failed: ${output.trim().split("\n").at(-1) ?? ""}`, `Run: npx tsc --noEmit -p ${shown}`)];
  }
  if (isIncluded) return faults;
  return [note(`types were not checked: ${shown} does not include ${file}`, `Add it to "include" in ${shown}.`)];
}

const note = (message: string, fix: string): Finding => ({ kind: "note", service: "", field: "", message, fix });
const fault = (field: string, message: string, fix: string): Finding => ({
  kind: "fault",
  service: "",
  field,
  message,
  fix,
});

/** The nearest file of that name, in `folder` or above it. */
function findUpwards(folder: string, name: string): string | undefined {
  const file = join(folder, name);
  if (existsSync(file)) return file;
  const parent = dirname(folder);
  return parent === folder ? undefined : findUpwards(parent, name);
}

/** One fault a diagnostic: `service.ts(12,5): error TS2322: Type …`, with its indented lines. */
function parseDiagnostics(output: string): Finding[] {
  const faults: Finding[] = [];
  for (const line of output.split("\n")) {
    const parts = /^(?:(.+?)\((\d+),(\d+)\): )?error (TS\d+: .*)$/.exec(line.trimEnd());
    if (parts !== null) {
      const [, file, row, column, message = ""] = parts;
      faults.push(fault(file === undefined ? "" : `${file}:${row}:${column}`, message, ""));
    }
    const last = faults.at(-1);
    if (parts === null && last !== undefined && /^\s+\S/.test(line)) {
      faults[faults.length - 1] = { ...last, message: `${last.message}\n    ${line.trimEnd()}` };
    }
  }
  return faults;
}

/** @returns The exit status, `undefined` when it took too long, and everything that was printed. */
function runCompiler(compiler: string, project: string): Promise<{ status: number | undefined; output: string }> {
  const args = [compiler, "--noEmit", "--pretty", "false", "--listFiles", "-p", project];
  return new Promise((done, reject) => {
    const child = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"], timeout: maxTypesMs });
    let output = "";
    const read = (chunk: Buffer) => {
      output += chunk;
    };
    child.stdout.on("data", read);
    child.stderr.on("data", read);
    child.on("error", reject);
    child.on("close", (status) => done({ status: status ?? undefined, output }));
  });
}
