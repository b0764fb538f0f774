import { readFileSync, statSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { ownCopy } from "../base/shared-state.js";
import { readContractForm } from "../contract/read-contract-form.js";
import { serviceOfContract } from "../contract/service-of-contract.js";
import type { ServiceClass } from "../define/depends.js";
import { compileService, type ServiceDescriptor } from "../define/descriptor.js";
import { fail } from "../failure/failures.js";
import { messageOf } from "../failure/to-serving-error.js";
import { type Graph, type GraphEdge, joinGraphs } from "../graph/graph.js";
import type { EntryLocation } from "../load/entry-location.js";
import type { LoadedAppFile } from "../options/option-reader.js";
import { digestFile } from "./build-folder.js";
import { type FileRecord, readManifest, type ServiceManifest } from "./manifest.js";
import { formatPlatform, readPlatform } from "./packages.js";
import { fromPlain } from "./plain-options.js";
import { contractFile, contractsFolder } from "./write-service.js";

/** A build as it is served: known by its manifests and contracts, without its code. */
export interface ReadBuild {
  /** Graph whose classes are made of contracts. */
  readonly graph: Graph;
  /** Name of the app, for its tasks. */
  readonly name: string;
  /** Location of the code of each service with a folder. */
  readonly entries: ReadonlyMap<string, EntryLocation>;
  /** Services whose code lies in the folders of their callers. */
  readonly inline: ReadonlySet<string>;
  /** Values of the app file when the app was built. */
  readonly appFile: LoadedAppFile | undefined;
  /** File with the functions of the app file, and their names; absent without any. */
  readonly functions: { readonly file: string; readonly names: readonly string[] } | undefined;
}

/** One folder of a service. */
interface ServiceFolder {
  readonly path: string;
  readonly manifest: ServiceManifest;
}

/** Largest file whose content is compared with the manifest at each start; of larger ones only the size is. */
const maxComparedBytes = 4 * 1024 ** 2;

/** Largest contract that is read, in bytes. */
const maxContractBytes = 1024 ** 2;

/** True for a folder of `ekiben build`: of a whole build or of one service. */
export function isBuildFolder(path: string | undefined): path is string {
  if (path === undefined || statSync(path, { throwIfNoEntry: false })?.isDirectory() !== true) return false;
  return readManifest(path) !== undefined;
}

/**
 * Reads a build, or one service of it.
 *
 * @throws {ServingError} `not_a_build`, `build_changed`, `build_platform`, `invalid_contract_form`.
 */
export function readBuild(path: string): ReadBuild {
  const root = resolve(path);
  const manifest = readManifest(root);
  if (manifest === undefined) throw fail("not_a_build", { folder: path, problem: "it has no manifest.json of ekiben" });
  const folders =
    manifest.ekiben === "service"
      ? [{ path: root, manifest }]
      : manifest.services.map(({ service }) => readService(join(root, basename(service))));
  const [first] = folders;
  for (const folder of folders) checkFolder(folder);
  const entry = manifest.ekiben === "app" ? manifest.entry : manifest.service;
  const own = folders.find((folder) => folder.manifest.service === entry) as ServiceFolder;
  const { functions, app } = own.manifest;
  return {
    graph: { ...joinGraphs(folders.map(graphOf)), entry },
    name: app.name ?? first?.manifest.app.name,
    entries: new Map(folders.map((folder) => [folder.manifest.service, locate(folder)])),
    inline: new Set(folders.flatMap((folder) => folder.manifest.inline)),
    appFile: joinAppFiles(
      folders.map((folder) => folder.manifest),
      own.manifest,
    ),
    functions: functions.length === 0 ? undefined : { file: join(own.path, "app.mjs"), names: functions },
  };
}

function readService(path: string): ServiceFolder {
  const manifest = readManifest(path);
  if (manifest?.ekiben === "service") return { path, manifest };
  throw fail("not_a_build", { folder: path, problem: "it has no manifest.json of a service" });
}

const locate = ({ path, manifest: { service } }: ServiceFolder): EntryLocation => ({
  ...{ file: join(path, "service.mjs"), service, earlier: [] },
});

/** Compares a folder with its manifest: an incomplete copy is found before anything starts. */
function checkFolder({ path, manifest }: ServiceFolder): void {
  const { toolchain, platform, files } = manifest;
  if (toolchain.ekiben !== ownCopy.version) {
    const problem = `it was built by ekiben ${toolchain.ekiben}, this is ${ownCopy.version}`;
    throw fail("not_a_build", { folder: path, problem });
  }
  if (platform !== undefined) {
    const here = formatPlatform(readPlatform());
    if (platform.target !== here) throw fail("build_platform", { folder: path, built: platform.target, here });
  }
  for (const [name, record] of Object.entries({ ...files, ...platform?.files })) {
    // Code and contracts by their content. Models are large; their size shows an incomplete copy.
    const problem = compare(join(path, name), record, !name.includes("/"));
    if (problem !== undefined) throw fail("build_changed", { folder: path, file: name, problem });
  }
}

/** @returns A text that describes the difference; `undefined` for none. */
function compare(file: string, { bytes, sha256 }: FileRecord, readsContent: boolean): string | undefined {
  const stat = statSync(file, { throwIfNoEntry: false });
  if (stat === undefined) return "it is missing";
  if (stat.size !== bytes) return `it has ${stat.size} bytes instead of ${bytes}`;
  if (!readsContent || bytes > maxComparedBytes) return undefined;
  return digestFile(file) === sha256 ? undefined : "its content differs from the digest in the manifest";
}

/** Graph of one folder: its service, the inline ones in it, and those that they call. */
function graphOf(folder: ServiceFolder): Graph {
  const { service, inline, dependsOn, options } = folder.manifest;
  const edges = dependsOn.filter(({ from }) => from === service || inline.includes(from));
  const others = edges.map(({ to }) => to).filter((name) => name !== service && !inline.includes(name));
  const names = [...new Set([...others, ...inline, service])];
  const classes = new Map(names.map((name) => [name, readClass(folder, name)]));
  const services = names.map((name): [string, ServiceDescriptor] => {
    const descriptor = compileService(classes.get(name) as ServiceClass);
    const declared = Object.hasOwn(options.declared, name) ? options.declared[name] : undefined;
    return [name, declared === undefined ? descriptor : withOptions(descriptor, declared)];
  });
  const graphEdges = edges.map(
    ({ from, field, to, timeoutMs }): GraphEdge => ({
      ...{ from, field, to, target: classes.get(to) as ServiceClass },
      options: timeoutMs === undefined ? {} : { timeoutMs },
    }),
  );
  return { entry: service, services: new Map(services), edges: graphEdges };
}

function readClass({ path, manifest }: ServiceFolder, name: string): ServiceClass {
  const file = name === manifest.service ? contractFile : join(contractsFolder, `${basename(name)}.json`);
  let value: unknown;
  try {
    if (statSync(join(path, file)).size > maxContractBytes)
      throw new Error(`it has more than ${maxContractBytes} bytes`);
    value = JSON.parse(readFileSync(join(path, file), "utf8"));
  } catch (error) {
    throw fail("build_changed", { folder: path, file, problem: messageOf(error) });
  }
  return serviceOfContract(readContractForm(value));
}

/** Adds the options that the code of a service declares: its contract has only those that callers need. */
function withOptions(
  descriptor: ServiceDescriptor,
  declared: ServiceManifest["options"]["declared"][string],
): ServiceDescriptor {
  const apis = [...descriptor.apis].map(([name, api]) => {
    const own = Object.hasOwn(declared.apis, name) ? declared.apis[name] : {};
    return [name, { ...api, contract: { ...api.contract, ...(fromPlain(own) as object) } }] as const;
  });
  const options = { name: descriptor.name, ...(fromPlain(declared.options) as object) };
  return { ...descriptor, options, apis: new Map(apis) };
}

/** Joins what each folder keeps of the app file. */
function joinAppFiles(manifests: readonly ServiceManifest[], entry: ServiceManifest): LoadedAppFile | undefined {
  const { appFile } = entry.options;
  if (appFile === undefined) return undefined;
  const services = manifests.flatMap(({ options }) =>
    Object.entries((options.appFile?.value as { readonly services?: object } | undefined)?.services ?? {}),
  );
  const value = {
    ...(appFile.value as object),
    ...(services.length > 0 && { services: Object.fromEntries(services) }),
  };
  return { path: appFile.path, value: fromPlain(value) };
}
