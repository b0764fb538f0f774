// Installs packages of rivals when a bench needs them, into bench/.cache: ekiben's repository depends on none of them.
import { execFile } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";

const cache = join(import.meta.dirname, "../.cache");
const timeoutMs = 10 * 60_000;

const nodePackages = {
  "@nestjs/common": "11.2.10",
  "@nestjs/core": "11.2.10",
  "@nestjs/microservices": "11.2.6",
  "@nestjs/platform-fastify": "11.2.8",
  moleculer: "0.14.36",
  "moleculer-web": "0.10.8",
  "reflect-metadata": "0.2.2",
  rxjs: "7.8.2",
};

/** Installs NestJS and Moleculer. @returns The folder to load them from. @throws {Error} with the output of npm. */
export async function installNodePackages(): Promise<string> {
  const folder = join(cache, "node");
  const manifest = JSON.stringify({ name: "rivals", private: true, dependencies: nodePackages });
  await installOnce(folder, manifest, async () => {
    writeFileSync(join(folder, "package.json"), manifest);
    await run("npm", ["install", "--prefix", folder, "--ignore-scripts", "--no-audit", "--no-fund"], folder);
  });
  return folder;
}

/**
 * Makes a virtual environment with these packages.
 *
 * @param name Name of its folder: rivals do not share packages.
 * @returns    The folder of its programs.
 * @throws {Error} with the output of Python or pip.
 */
export async function installPythonPackages(name: string, packages: readonly string[]): Promise<string> {
  const folder = join(cache, `python-${name}`);
  const programs = join(folder, "bin");
  await installOnce(folder, packages.join("\n"), async () => {
    await run("python3", ["-m", "venv", "--clear", folder], cache);
    const flags = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
    await run(join(programs, "python"), [...flags, ...packages], folder);
  });
  return programs;
}

/** File beside the packages that lists them; it is written last. */
async function installOnce(folder: string, wanted: string, install: () => Promise<void>): Promise<void> {
  const stamp = join(folder, "installed");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  mkdirSync(folder, { recursive: true });
  await install();
  writeFileSync(stamp, wanted);
}

async function run(command: string, args: readonly string[], cwd: string): Promise<void> {
  try {
    await promisify(execFile)(command, args, { cwd, timeout: timeoutMs });
  } catch (error) {
    const { stderr = "", message } = error as Error & { stderr?: string };
    const [last = message] = stderr.trim().split("\n").slice(-1);
    throw new Error(`${command} ${args[0]} failed: ${last || message}`);
  }
}
