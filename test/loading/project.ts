import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { CommandProcess } from "../cli-process.js";

const root = join(import.meta.dirname, "../..");
const own = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  version: string;
  dependencies: Record<string, string>;
};

/** Packages in the node_modules of a small project. */
export interface ProjectParts {
  /** Text of each file, by path. */
  readonly files: Readonly<Record<string, string>>;
  /** Default: `{ "type": "module" }`. */
  readonly packageFile?: object;
  /** True when tsx is installed. Default: true. */
  readonly hasTsx?: boolean;
}

/** Small project in a temporary folder, with the built ekiben installed. */
export class Project implements Disposable {
  readonly #hasTsx: boolean;
  readonly folder = realpathSync(mkdtempSync(join(tmpdir(), "ekiben-project-")));

  constructor({ files, packageFile = { type: "module" }, hasTsx = true }: ProjectParts) {
    this.#hasTsx = hasTsx;
    this.write({ "package.json": JSON.stringify({ private: true, ...packageFile }), ...files });
    this.install("node_modules/ekiben");
    for (const name of ["zod", ...(hasTsx ? ["tsx"] : [])]) this.link(`node_modules/${name}`);
  }

  write(files: Readonly<Record<string, string>>): void {
    for (const [path, text] of Object.entries(files)) {
      const file = join(this.folder, path);
      mkdirSync(dirname(file), { recursive: true });
      writeFileSync(file, text);
    }
  }

  /** Copies the built package, so that it finds its dependencies and only the tsx of the project. */
  install(path: string, version = own.version): void {
    const folder = join(this.folder, path);
    mkdirSync(folder, { recursive: true });
    cpSync(join(root, "dist"), join(folder, "dist"), { recursive: true });
    this.write({ [join(path, "package.json")]: JSON.stringify({ ...own, version }) });
    // Copied as a whole, so that a linked package finds its dependencies whether or not Node resolves the link first.
    if (this.#hasTsx) symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
    else for (const name of Object.keys(own.dependencies)) this.#linkTo(join(path, "node_modules", name), name);
  }

  link(path: string): void {
    this.#linkTo(path, path.slice(path.indexOf("node_modules/") + "node_modules/".length));
  }

  /** Runs Node with arguments such as `["main.ts"]` or `["--import", "tsx", "main.ts"]`. */
  run(args: readonly string[], cwd = this.folder): CommandProcess {
    return new CommandProcess(args, { cwd, main: undefined });
  }

  /** Runs the command line of the project's own ekiben. */
  command(args: readonly string[], cwd = this.folder): CommandProcess {
    return this.run([join(this.folder, "node_modules/ekiben/dist/cli/main.js"), ...args], cwd);
  }

  [Symbol.dispose](): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  #linkTo(path: string, name: string): void {
    const file = join(this.folder, path);
    mkdirSync(dirname(file), { recursive: true });
    symlinkSync(join(root, "node_modules", name), file);
  }
}
