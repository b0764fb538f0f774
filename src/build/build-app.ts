import { existsSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { Worker } from "node:worker_threads";
import { findOwnModule, ownCopy, ownFolder } from "../base/shared-state.js";
import { type ContractForm, contractDigest, contractForm, digestOf } from "../contract/contract-form.js";
import type { ServiceClass } from "../define/depends.js";
import { type ServiceDescriptor, toFault } from "../define/descriptor.js";
import { fail, type GraphFault } from "../failure/failures.js";
import { systemProblem } from "../failure/read-thrown.js";
import type { Graph } from "../graph/graph.js";
import type { LoadedAppFile } from "../options/option-reader.js";
import type { AppSettings, ServiceSettings } from "../options/settings.js";
import { codeNameOf } from "./author-module.js";
import { BuildFolder, type FileDigests } from "./build-folder.js";
import { bundleRuntime, runtimePlace, signRuntime, toJson } from "./bundle-runtime.js";
import {
  type Bundle,
  type Bundler,
  bundleService,
  type DeclaredClass,
  findBundler,
  loadBundler,
} from "./bundle-service.js";
import { collectAssets } from "./collect-assets.js";
import { findAncestor, findClasses, readAuthorFiles } from "./find-classes.js";
import {
  type AppManifest,
  type ManifestEdge,
  manifestFile,
  manifestVersion,
  readManifest,
  type ServiceManifest,
  type Toolchain,
} from "./manifest.js";
import { findInstalled, findOwner, PackageCopies, readPlatform } from "./packages.js";
import { type PlainContext, toPlain } from "./plain-options.js";
import { type BuiltUnit, startProgram, type UnitPlan, writeService } from "./write-service.js";

/** App to build: resolved, not started. */
export interface BuildWish {
  readonly graph: Graph;
  readonly settings: AppSettings;
  /** Path of the service file. */
  readonly file: string;
  readonly appFile: LoadedAppFile | undefined;
  /** Path of the app file; `undefined` without one. */
  readonly appFilePath: string | undefined;
  /** Name of the app, for its tasks. */
  readonly name: string;
  /** Folder of the build. */
  readonly out: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly digests: FileDigests;
}

/** One service of a build that is done. */
export interface BuiltService {
  readonly service: string;
  readonly digest: string;
  /** Size of its folder. */
  readonly bytes: number;
  /** False when the earlier build had the same. */
  readonly isChanged: boolean;
}

/** A build that is done. */
export interface BuildReport {
  readonly digest: string;
  readonly services: readonly BuiltService[];
  /** Every file of the author and of packages that the build depends on. */
  readonly inputs: readonly string[];
}

/** Oldest Node that runs a build. */
const nodeRange = ">=20.19";

/**
 * Builds an app: one folder a service, and ekiben beside them.
 *
 * @throws {ServingError} `bundler_missing`, `build_refused` with every fault, `build_unwritable`. The earlier build is
 *   left as it was.
 */
export async function buildApp(wish: BuildWish): Promise<BuildReport> {
  // Paths in a build are relative to it.
  const project = findOwner(wish.file);
  const found = findBundler(project, ownFolder);
  if (found === undefined) throw fail("bundler_missing", {});
  const report = await new BuildRun(wish, project, await loadBundler(found)).build();
  return { ...report, inputs: [...report.inputs, join(found.folder, "package.json")] };
}

class BuildRun {
  readonly #wish: BuildWish;
  readonly #project: string;
  readonly #bundler: Bundler;
  readonly #faults: GraphFault[] = [];
  readonly #plain: PlainContext;
  readonly #platform = readPlatform();
  readonly #contracts: ReadonlyMap<string, ContractForm>;

  constructor(wish: BuildWish, project: string, bundler: Bundler) {
    this.#wish = wish;
    this.#project = project;
    this.#bundler = bundler;
    this.#plain = { env: wish.env, faults: this.#faults };
    this.#contracts = new Map([...wish.graph.services].map(([name, own]) => [name, contractForm(own)]));
  }

  async build(): Promise<BuildReport> {
    const { graph, out, digests } = this.#wish;
    const units = listUnits(graph, this.#wish.settings).map((unit) =>
      unit.service === graph.entry ? { ...unit, functions: this.#listFunctions() } : unit,
    );
    const files = await this.#readFiles();
    const classes = findClasses(graph.services.values(), files, this.#faults);
    this.#refuseFaults();
    const bundles = await Promise.all(units.map((unit) => this.#bundle(unit, classes)));
    const built = bundles.map((bundle, index) => this.#collect(units[index] as UnitPlan, bundle, classes));
    const appFile = this.#wish.appFile && {
      path: this.#wish.appFile.path,
      value: toPlain(this.#wish.appFile.value, "", this.#plain),
    };
    this.#refuseFaults();
    const folder = new BuildFolder(out, digests);
    await folder.open();
    try {
      const toolchain = { ekiben: ownCopy.version, esbuild: this.#bundler.version, node: nodeRange };
      const common = {
        folder,
        toolchain,
        contracts: this.#contracts,
        graph,
        appFile,
        name: this.#wish.name,
        plain: this.#plain,
        platform: this.#platform,
      };
      const manifests: ServiceManifest[] = [];
      for (const unit of built) manifests.push(await writeService(unit, common));
      this.#refuseFaults();
      await this.#writeRuntime(folder, built);
      const app = await this.#writeApp(folder, manifests, toolchain);
      const earlier = new Map(units.map(({ service }) => [service, readDigest(join(out, service))]));
      await this.#verify(folder.path, units);
      await folder.finish();
      return {
        digest: app.digest,
        services: manifests.map(({ service, digest, files, platform }) => ({
          service,
          digest,
          bytes: sumBytes(files) + sumBytes(platform?.files ?? {}),
          isChanged: earlier.get(service) !== digest,
        })),
        inputs: [...new Set([...files.keys(), ...bundles.flatMap(({ inputs }) => inputs)])],
      };
    } catch (error) {
      await folder.discard();
      throw error;
    }
  }

  /** Names of the functions of the app file. */
  #listFunctions(): string[] {
    const value = (this.#wish.appFile?.value ?? {}) as Readonly<Record<string, unknown>>;
    return ["context", "fastify"].filter((name) => typeof value[name] === "function");
  }

  async #readFiles(): Promise<ReadonlyMap<string, string>> {
    const { file, appFilePath } = this.#wish;
    try {
      return await readAuthorFiles(this.#bundler, this.#project, [file, ...listCode(appFilePath)]);
    } catch (error) {
      throw fail("bundling_failed", { service: "", problems: [systemProblem(error)] }, { cause: error });
    }
  }

  #bundle(
    { service, inline, callees, functions }: UnitPlan,
    classes: ReadonlyMap<string, DeclaredClass>,
  ): Promise<Bundle> {
    const find = (name: string) => classes.get(name) as DeclaredClass;
    this.#refuseAncestors([service, ...inline], callees);
    return bundleService(this.#bundler, {
      project: this.#project,
      own: find(service),
      inline: inline.map(find),
      callees: this.#stubsOf(service, inline, callees).map(find),
      contracts: this.#contracts,
      appFile: functions.length > 0 ? this.#wish.appFilePath : undefined,
    });
  }

  /** Classes that get their contract in a bundle: every service that is not in it, since a file may declare several. */
  #stubsOf(service: string, inline: readonly string[], callees: readonly string[]): string[] {
    const others = [...this.#wish.graph.services.keys()].filter((name) => name !== service && !inline.includes(name));
    return [...new Set([...callees, ...others])];
  }

  /** Refuses services whose class extends that of a callee: its code would come along. */
  #refuseAncestors(kept: readonly string[], callees: readonly string[]): void {
    const classOf = (name: string) => (this.#wish.graph.services.get(name) as ServiceDescriptor).service;
    const others = new Set<ServiceClass>(callees.map(classOf));
    for (const name of kept) {
      const found = findAncestor(classOf(name), others);
      if (found === undefined) continue;
      this.#faults.push(
        toFault(
          name,
          "",
          fail("callee_not_separable", { callee: found.name, place: "", reason: `${name} extends it` }),
        ),
      );
    }
  }

  /** Finds everything that goes beside a bundle, and everything that is wrong with it. */
  #collect(unit: UnitPlan, bundle: Bundle, classes: ReadonlyMap<string, DeclaredClass>): BuiltUnit {
    const { service } = unit;
    for (const problem of bundle.errors) {
      this.#faults.push(toFault(service, "", fail("bundling_failed", { service, problems: [problem] })));
    }
    for (const name of this.#stubsOf(service, unit.inline, unit.callees)) {
      const { local, file } = classes.get(name) as DeclaredClass;
      if (!bundle.code.includes(codeNameOf(local))) continue;
      const place = relative(this.#project, file);
      const reason = "something runs when the class is declared: a static field or block, or an argument of Service()";
      this.#faults.push(toFault(service, "", fail("callee_not_separable", { callee: name, place, reason })));
    }
    const settings = this.#wish.settings.services.get(service) as ServiceSettings;
    const assets = collectAssets({
      service,
      bundle,
      project: this.#project,
      patterns: settings.build.assets,
      faults: this.#faults,
    });
    return { ...unit, bundle, assets, packages: this.#copiesOf(bundle) };
  }

  /** Packages beside a bundle: those that can't be in it, and those that its code names in a text. */
  #copiesOf({ code, modules, apart, withData }: Bundle): PackageCopies {
    const copies = new PackageCopies(this.#platform);
    const names = (folders: ReadonlySet<string>) =>
      [...folders].sort((a, b) => (nameOfFolder(a) < nameOfFolder(b) ? -1 : 1));
    for (const folder of names(apart)) copies.add({ name: nameOfFolder(folder), folder }, "whole");
    for (const folder of names(withData)) copies.add({ name: nameOfFolder(folder), folder }, "data");
    for (const file of [...modules.keys()].sort()) copies.addNamed(file, modules.get(file)?.contents ?? "", code);
    return copies;
  }

  /** Writes ekiben, and the packages that it loads where they are installed. */
  async #writeRuntime(folder: BuildFolder, units: readonly BuiltUnit[]): Promise<void> {
    const signature = signRuntime(this.#bundler.version);
    const cache = findCache(this.#project);
    const kept = cache === undefined ? undefined : join(cache, signature);
    if (kept === undefined || !(await folder.keep(runtimePlace, kept))) {
      await folder.write("", await bundleRuntime(this.#bundler));
      if (kept !== undefined) await folder.spare(runtimePlace, kept);
    }
    const hasTasks = [...this.#wish.graph.services.values()].some(({ apis }) =>
      [...apis.values()].some(({ kind }) => kind === "task"),
    );
    const asksWho = units.some(({ bundle }) => bundle.code.includes('"ekiben/auth"'));
    const copies = new PackageCopies(this.#platform);
    for (const name of [...(hasTasks ? ["libsql", "pg"] : []), ...(asksWho ? ["jose"] : [])]) {
      const installed = findInstalled(name, this.#project) ?? findInstalled(name, ownFolder);
      if (installed !== undefined) copies.add(installed, "whole");
    }
    await folder.copy("", copies.files());
  }

  async #writeApp(
    folder: BuildFolder,
    services: readonly ServiceManifest[],
    toolchain: Toolchain,
  ): Promise<AppManifest> {
    const { graph, name } = this.#wish;
    const edges = new Map(
      services
        .flatMap(({ dependsOn }) => dependsOn)
        .map((edge): [string, ManifestEdge] => [JSON.stringify(edge), edge]),
    );
    const manifest: Omit<AppManifest, "digest"> = {
      ...{ ekiben: "app", format: manifestVersion, name, entry: graph.entry },
      services: services.map(({ service, digest, contract }) => ({ service, digest, contract })),
      edges: [...edges.values()],
      toolchain,
    };
    const whole = { ...manifest, digest: digestOf(manifest) };
    await folder.write("", [
      { target: manifestFile, content: toJson(whole) },
      { target: "start.mjs", content: startProgram },
    ]);
    return whole;
  }

  /** Loads every bundle as a replica does, and compares its graph with that of the source. */
  async #verify(path: string, units: readonly UnitPlan[]): Promise<void> {
    const wishes = units.map(({ service }) => ({ service, file: join(path, service, "service.mjs") }));
    const worker = new Worker(findOwnModule("build/verify-main"), { workerData: wishes, stdout: true, stderr: true });
    const problems = await new Promise<readonly { service: string; digest?: string; problem?: string }[]>((done) => {
      worker.once("message", done);
      worker.once("error", (error) => done([{ service: "", problem: String(error) }]));
      worker.once("exit", () => done([{ service: "", problem: "it ended the process while it was loaded" }]));
    });
    await worker.terminate();
    for (const { service, digest, problem } of problems) {
      const own = this.#contracts.get(service);
      const text =
        problem ??
        (own !== undefined && contractDigest(own) === digest
          ? undefined
          : "its contract is another one than that of the source");
      if (text !== undefined)
        this.#faults.push(toFault(service, "", fail("bundle_broken", { service, problem: text })));
    }
    this.#refuseFaults();
  }

  #refuseFaults(): void {
    if (this.#faults.length > 0) throw fail("build_refused", { faults: this.#faults });
  }
}

/** Lists the services that get a folder, callees first: all that are not inline, and the entry. */
function listUnits(graph: Graph, settings: AppSettings): UnitPlan[] {
  const isInline = (name: string) => (settings.services.get(name) as ServiceSettings).placement === "inline";
  const calleesOf = (name: string) => graph.edges.filter(({ from }) => from === name).map(({ to }) => to);
  const names = [...graph.services.keys()];
  return names
    .filter((name) => name === graph.entry || !isInline(name))
    .map((service) => {
      const within = new Set<string>();
      const waiting = [service];
      for (let at = waiting.pop(); at !== undefined; at = waiting.pop()) {
        for (const callee of calleesOf(at)) {
          if (!isInline(callee) || within.has(callee)) continue;
          within.add(callee);
          waiting.push(callee);
        }
      }
      const callees = new Set([service, ...within].flatMap(calleesOf));
      return {
        service,
        inline: names.filter((name) => within.has(name)),
        callees: names.filter((name) => callees.has(name) && !within.has(name)),
        functions: [],
      };
    });
}

/** Finds the folder for what may be made again: that of the packages above a project, where tools keep such things. */
function findCache(project: string): string | undefined {
  for (let folder = project; ; folder = dirname(folder)) {
    if (existsSync(join(folder, "node_modules"))) return join(folder, "node_modules/.cache/ekiben");
    if (dirname(folder) === folder) return undefined;
  }
}

const listCode = (file: string | undefined): string[] => (file === undefined || file.endsWith(".json") ? [] : [file]);

const nameOfFolder = (folder: string): string =>
  folder.slice(folder.lastIndexOf("node_modules") + "node_modules/".length);

function readDigest(folder: string): string | undefined {
  try {
    return readManifest(folder)?.digest;
  } catch {
    return undefined;
  }
}

const sumBytes = (files: Readonly<Record<string, { readonly bytes: number }>>): number =>
  Object.values(files).reduce((sum, { bytes }) => sum + bytes, 0);
