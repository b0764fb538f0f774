import { readFileSync } from "node:fs";
import { isBuiltin } from "node:module";
import { dirname, extname, join, relative, resolve, sep } from "node:path";
import { pathToFileURL } from "node:url";
import type {
  BuildFailure,
  BuildResult,
  Message,
  OnLoadResult,
  OnResolveArgs,
  OnResolveResult,
  Plugin,
  PluginBuild,
} from "esbuild";
import type { ContractForm } from "../contract/contract-form.js";
import { writeCanonical } from "../contract/contract-form.js";
import {
  type AuthorModule,
  calleePrefix,
  exportNameOf,
  formatPlace,
  prepareModule,
  writePlaceModule,
} from "./author-module.js";
import {
  findInstalled,
  findOwner,
  type InstalledPackage,
  isNativePackage,
  judgeCode,
  packageOf,
  readPackage,
} from "./packages.js";
import { trimMap } from "./trim-map.js";

/** The bundler, as it was found in the project. */
export type Bundler = typeof import("esbuild");

/** A class of an author, and the file whose text declares it. */
export interface DeclaredClass {
  readonly service: string;
  /** Name of the class in its file; `"default"` for a class without a name that is the default export. */
  readonly local: string;
  readonly file: string;
}

/** Parts of one bundle. */
export interface BundleWish {
  /** Folder of the project's `package.json`; paths in the bundle are relative to it. */
  readonly project: string;
  /** Service of the bundle. */
  readonly own: DeclaredClass;
  /** Inline services in it. */
  readonly inline: readonly DeclaredClass[];
  /** Services that run elsewhere. */
  readonly callees: readonly DeclaredClass[];
  /** Contracts of `callees`, by name. */
  readonly contracts: ReadonlyMap<string, ContractForm>;
  /** App file whose functions the bundle has; absent for none. */
  readonly appFile?: string | undefined;
}

/** One bundle and what was found while it was made. */
export interface Bundle {
  /** Text of `service.mjs`. */
  readonly code: string;
  readonly map: string;
  readonly notices: string;
  /** Files of authors whose code is in the bundle, as they were prepared. */
  readonly modules: ReadonlyMap<string, AuthorModule>;
  /** Every file that was read. */
  readonly inputs: readonly string[];
  /** Folders of the packages that stay outside of the bundle. */
  readonly apart: ReadonlySet<string>;
  /** Folders of the bundled packages that find files by their own place. */
  readonly withData: ReadonlySet<string>;
  /** Problems of the bundler, with file and line. */
  readonly errors: readonly string[];
}

/** Oldest Node that runs a build. */
const target = "node20.19";

const scriptFile = /\.[cm]?[jt]sx?$/;

/**
 * Bundles one service.
 *
 * A first run leaves all packages out, and so tells which of them the service uses: the others, such as the model
 * runtimes of its callees, are never read. A package that turns out not to fit into a bundle is left out in a further
 * run.
 */
export async function bundleService(bundler: Bundler, wish: BundleWish): Promise<Bundle> {
  const apart = new Set<string>();
  const { code } = await new BundleRun(wish, apart, () => false).build(bundler);
  for (;;) {
    const run = new BundleRun(wish, apart, (path) => code === "" || hasText(code, path));
    const bundle = await run.build(bundler);
    if (!run.isOutdated) return bundle;
  }
}

/** True when a bundle has a text, such as the specifier of a package that stayed outside. */
const hasText = (code: string, text: string): boolean => code.includes(JSON.stringify(text));

/** One run of the bundler. */
class BundleRun {
  readonly #wish: BundleWish;
  readonly #apart: Set<string>;
  /** Tells whether a package that an author's file imports is bundled. */
  readonly #takes: (path: string) => boolean;
  /** Folders of packages outside of the bundle, by the specifier that the bundle may still have. */
  readonly #outside = new Map<string, string>();
  readonly #withData = new Set<string>();
  /** True when a package that is in the bundle turned out not to fit into it. */
  isOutdated = false;
  readonly #modules = new Map<string, AuthorModule>();

  constructor(wish: BundleWish, apart: Set<string>, takes: (path: string) => boolean) {
    this.#wish = wish;
    this.#apart = apart;
    this.#takes = takes;
  }

  async build(bundler: Bundler): Promise<Bundle> {
    const { project } = this.#wish;
    const result = await bundler
      .build({
        absWorkingDir: project,
        stdin: { contents: this.#entry(), resolveDir: project, sourcefile: "ekiben-entry.js", loader: "js" },
        outfile: join(project, "service.mjs"),
        bundle: true,
        write: false,
        metafile: true,
        format: "esm",
        platform: "node",
        target,
        charset: "utf8",
        sourcemap: "external",
        legalComments: "external",
        treeShaking: true,
        minifyWhitespace: true,
        lineLimit: 160,
        logLevel: "silent",
        // Packages in CommonJS ask for modules of Node by `require`.
        banner: {
          js: 'import { createRequire as ekibenRequire } from "node:module"; const require = ekibenRequire(import.meta.url);',
        },
        plugins: [this.#plugin()],
      })
      .catch((error: unknown) => error as BuildFailure);
    if (!("outputFiles" in result)) {
      const errors = result.errors?.map(formatMessage) ?? [String(result)];
      return { ...nothing, errors };
    }
    return { ...this.#read(result as BuildResult<{ write: false; metafile: true }>), errors: [] };
  }

  #read({ outputFiles, metafile }: BuildResult<{ write: false; metafile: true }>): Omit<Bundle, "errors"> {
    const inputs = Object.keys(metafile.inputs).filter((path) => !path.startsWith("ekiben:"));
    const prefixes = new Set(inputs.flatMap((path) => /^(.*?)node_modules\//.exec(path)?.[1] || []));
    const textOf = (ending: string) =>
      stablePaths(outputFiles.find(({ path }) => path.endsWith(ending))?.text ?? "", prefixes);
    const outputs = Object.values(metafile.outputs).flatMap(({ inputs }) => Object.entries(inputs));
    const kept = outputs
      .filter(([, { bytesInOutput }]) => bytesInOutput > 0)
      .map(([path]) => resolve(this.#wish.project, path));
    const code = textOf("service.mjs");
    // The bundler reads every file first and then drops what nothing uses.
    const folders = new Set(kept.flatMap((file) => packageOf(file)?.folder ?? []));
    return {
      code,
      apart: new Set([...this.#outside].filter(([path]) => hasText(code, path)).map(([, folder]) => folder)),
      withData: new Set([...this.#withData].filter((folder) => folders.has(folder))),
      map: trimMap(textOf(".map"), (source) => !/^ekiben|(^|\/)node_modules\//.test(source)),
      notices: textOf(".LEGAL.txt"),
      modules: new Map(
        kept.flatMap((file) =>
          this.#modules.has(file) ? [[file, this.#modules.get(file) as AuthorModule] as const] : [],
        ),
      ),
      inputs: inputs.filter((path) => !path.includes(":")).map((path) => resolve(this.#wish.project, path)),
    };
  }

  /** The bundler may give a class another name, since names of files that it joins may clash. */
  #entry(): string {
    const { own, inline, appFile } = this.#wish;
    const classes = [own, ...inline];
    const lines = classes.map(({ local, file }, index) => {
      const name = local === "default" ? "default" : exportNameOf(local);
      return `import { ${name} as service${index} } from ${JSON.stringify(file)};`;
    });
    const names = classes.map(({ local }, index) => `[service${index}, ${JSON.stringify(local)}]`).join(", ");
    return [
      ...lines,
      `for (const [service, name] of [${names}]) if (service.name !== name) Object.defineProperty(service, "name", { value: name });`,
      "export { service0 as service };",
      ...(appFile === undefined ? [] : [`export const loadAppFile = () => import(${JSON.stringify(appFile)});`]),
    ].join("\n");
  }

  #plugin(): Plugin {
    return {
      name: "ekiben",
      setup: (build) => {
        build.onResolve({ filter: /^ekiben-(place|callee):/ }, ({ path }) => ({
          path,
          namespace: "ekiben",
          sideEffects: false,
        }));
        build.onLoad({ filter: /.*/, namespace: "ekiben" }, ({ path }) => this.#loadMade(path));
        build.onResolve({ filter: /.*/ }, (args) => this.#resolve(build, args));
        build.onLoad({ filter: scriptFile, namespace: "file" }, ({ path }) => this.#load(path));
      },
    };
  }

  async #resolve(build: PluginBuild, args: OnResolveArgs): Promise<OnResolveResult | undefined> {
    const { path, importer, kind, resolveDir, pluginData } = args;
    if (/^ekiben(\/|$)/.test(path)) return { path, external: true, sideEffects: false };
    if (pluginData === passed || kind === "entry-point" || args.namespace === "ekiben" || isBuiltin(path))
      return undefined;
    const isBare = !/^[./]/.test(path);
    const isDropped = this.#isForCalleesOnly(importer, path);
    if (!isBare && !isDropped) return undefined;
    const found = await build.resolve(path, { importer, kind, resolveDir, pluginData: passed });
    // Left to the bundler: it knows which imports may be missing.
    if (found.errors.length > 0 || found.external || found.namespace !== "file") return undefined;
    const own = packageOf(found.path);
    if (own !== undefined && packageOf(importer) === undefined && !this.#takes(path)) {
      return { path, external: true, ...(isDropped && { sideEffects: false }) };
    }
    // Most packages show it in the file that is imported first: then no further run is needed.
    if (own !== undefined && !this.#apart.has(own.folder) && scriptFile.test(found.path)) {
      if (isNativePackage(own.folder) || judgeFile(found.path).judged === "apart") this.#apart.add(own.folder);
    }
    if (own !== undefined && this.#apart.has(own.folder)) {
      this.#outside.set(path, own.folder);
      return { path, external: true, sideEffects: false };
    }
    return isDropped ? { path: found.path, sideEffects: false } : undefined;
  }

  /**
   * True for an import of a file that declares a class which runs elsewhere: when nothing of it is used any more, the
   * class was its only user. An import without names is there for its effects, and stays.
   */
  #isForCalleesOnly(importer: string, path: string): boolean {
    if (!this.#wish.callees.some(({ file }) => file === importer)) return false;
    return this.#modules.get(importer)?.bareImports.has(path) === false;
  }

  #load(path: string): OnLoadResult | undefined {
    const own = packageOf(path);
    if (own !== undefined) return this.#loadPackaged(path, own.folder);
    const text = readFileSync(path, "utf8");
    const { own: service, inline, callees } = this.#wish;
    const isHere = ({ file }: DeclaredClass) => file === path;
    const prepared = prepareModule({
      text,
      place: placeOf(path),
      callees: callees.filter(isHere),
      exported: [service, ...inline].filter(isHere).flatMap(({ local }) => (local === "default" ? [] : [local])),
    });
    this.#modules.set(path, prepared);
    return { contents: prepared.contents, loader: loaderOf(path), resolveDir: dirname(path) };
  }

  #loadPackaged(path: string, folder: string): OnLoadResult | undefined {
    const { text, judged } = judgeFile(path);
    if (judged === "apart") {
      this.#apart.add(folder);
      this.isOutdated = true;
    }
    if (judged !== "with its data") return undefined;
    this.#withData.add(folder);
    const { name } = packageOf(path) ?? { name: "" };
    const place = `../node_modules/${name}/${relative(folder, path).split(sep).join("/")}`;
    const isModule = /^\s*(import|export)\b/m.test(text);
    const { contents } = isModule
      ? prepareModule({ text, place, callees: [], exported: [] })
      : { contents: `${declarePlace("dirname", place)}${declarePlace("filename", place)}${text}` };
    return { contents: contents, loader: loaderOf(path), resolveDir: dirname(path) };
  }

  /** Makes a module: the place of a file, or the class of a callee. */
  #loadMade(path: string): OnLoadResult {
    const { project, contracts } = this.#wish;
    if (path.startsWith(calleePrefix)) {
      const form = contracts.get(path.slice(calleePrefix.length));
      const contents = `import { serviceOfContract } from "ekiben/callee";\nexport const callee = /* @__PURE__ */ serviceOfContract(${writeCanonical(form)});`;
      return { contents: contents, loader: "js", resolveDir: project };
    }
    return { contents: writePlaceModule(path), loader: "js", resolveDir: project };
  }
}

interface JudgedFile {
  readonly text: string;
  readonly judged: ReturnType<typeof judgeCode>;
}

const judgedFiles = new Map<string, JudgedFile>();

/** Judges a file of a package, once for all services. */
function judgeFile(path: string): JudgedFile {
  let found = judgedFiles.get(path);
  if (found === undefined) {
    const text = readFileSync(path, "utf8");
    const judged = judgeCode(text);
    found = { text: judged === "with its data" ? text : "", judged };
    judgedFiles.set(path, found);
  }
  return found;
}

/** Declares a variable of CommonJS that names the place of its file. */
function declarePlace(kind: "dirname" | "filename", place: string): string {
  const name = `__${kind}`;
  return `var ${name} = require(${JSON.stringify(formatPlace({ kind, name, place }))}).${name};`;
}

/** Bundle that could not be made. */
const nothing: Omit<Bundle, "errors"> = {
  ...{ code: "", map: "", notices: "", modules: new Map(), inputs: [] },
  ...{ apart: new Set<string>(), withData: new Set<string>() },
};

/** Marks a question of the plugin itself. */
const passed = "passed on";

const places = new Map<string, { readonly name: string; readonly folder: string }>();

/** Place of an author's file in the folder of files: by the name of its package, which is the same on every machine. */
export function placeOf(file: string): string {
  const from = dirname(file);
  let owner = places.get(from);
  if (owner === undefined) {
    const folder = findOwner(file);
    owner = { name: readPackage(folder).name ?? "app", folder };
    places.set(from, owner);
  }
  return `${owner.name}/${relative(owner.folder, file).split(sep).join("/")}`;
}

function loaderOf(path: string): "js" | "jsx" | "ts" | "tsx" {
  const ending = extname(path).replace(/^\.[cm]/, ".");
  return ending === ".tsx" ? "tsx" : ending === ".ts" ? "ts" : ending === ".jsx" ? "jsx" : "js";
}

/** Names packages without the folders above them: these depend on where npm put them. */
function stablePaths(text: string, prefixes: ReadonlySet<string>): string {
  let stable = text;
  for (const prefix of prefixes) stable = stable.replaceAll(`${prefix}node_modules/`, "node_modules/");
  return stable;
}

function formatMessage({ text, location }: Message): string {
  return location === null ? text : `${location.file}:${location.line}: ${text}`;
}

/** Finds the bundler: the one of the project, else the one installed beside ekiben. */
export const findBundler = (project: string, ownFolder: string): InstalledPackage | undefined =>
  findInstalled("esbuild", project) ?? findInstalled("esbuild", ownFolder);

export async function loadBundler({ folder }: InstalledPackage): Promise<Bundler> {
  const loaded = (await import(pathToFileURL(join(folder, "lib/main.js")).href)) as Bundler & {
    readonly default?: Bundler;
  };
  return loaded.default ?? loaded;
}
