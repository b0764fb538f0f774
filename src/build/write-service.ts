import { type ContractForm, contractDigest, digestOf, writeCanonical } from "../contract/contract-form.js";
import type { ServiceDescriptor } from "../define/descriptor.js";
import type { Graph } from "../graph/graph.js";
import type { BuildFolder } from "./build-folder.js";
import { type MadeFile, toJson } from "./bundle-runtime.js";
import type { Bundle } from "./bundle-service.js";
import type { CopiedFile } from "./collect-assets.js";
import {
  type FileRecord,
  type ManifestEdge,
  manifestFile,
  manifestVersion,
  type ServiceManifest,
  type Toolchain,
} from "./manifest.js";
import { formatPlatform, type PackageCopies, type Platform } from "./packages.js";
import { cutAppFile, declaredPlain, type PlainContext } from "./plain-options.js";

/** One service that gets a folder, and the services around it. */
export interface UnitPlan {
  readonly service: string;
  /** Inline services whose code is in the folder, callees first. */
  readonly inline: readonly string[];
  /** Services elsewhere that it or an inline service calls. */
  readonly callees: readonly string[];
  /** Functions of the app file in its bundle. */
  readonly functions: readonly string[];
}

/** One service once its bundle is made. */
export interface BuiltUnit extends UnitPlan {
  readonly bundle: Bundle;
  readonly assets: readonly CopiedFile[];
  readonly packages: PackageCopies;
}

/** Facts that the folders of all services share. */
interface BuildFacts {
  readonly folder: BuildFolder;
  readonly toolchain: Toolchain;
  readonly contracts: ReadonlyMap<string, ContractForm>;
  readonly graph: Graph;
  readonly appFile: { readonly path: string; readonly value: unknown } | undefined;
  readonly name: string;
  readonly plain: PlainContext;
  readonly platform: Platform;
}

/** File of the contract of a service, and folder of those of its callees and inline services. */
export const contractFile = "contract.json";
export const contractsFolder = "contracts";

const mapFile = "service.mjs.map";

/** Writes the folder of one service. */
export async function writeService(unit: BuiltUnit, facts: BuildFacts): Promise<ServiceManifest> {
  const { service, inline, callees, functions, bundle, assets, packages } = unit;
  const { folder, toolchain, contracts, graph, appFile, name, plain, platform } = facts;
  const formOf = (own: string) => contracts.get(own) as ContractForm;
  const made: MadeFile[] = [
    { target: "service.mjs", content: `${bundle.code}\n//# sourceMappingURL=service.mjs.map\n` },
    { target: contractFile, content: `${writeCanonical(formOf(service))}\n` },
    ...[...inline, ...callees].map((own) => ({
      target: `${contractsFolder}/${own}.json`,
      content: `${writeCanonical(formOf(own))}\n`,
    })),
    ...(bundle.notices === "" ? [] : [{ target: "NOTICES.txt", content: bundle.notices }]),
    ...(functions.length === 0 ? [] : [{ target: "app.mjs", content: appProgram }]),
  ];
  const copied = packages.files();
  const [mapped, written, plainFiles, nativeFiles] = [
    await folder.write(service, [{ target: mapFile, content: bundle.map }]),
    await folder.write(service, made),
    await folder.copy(service, [...assets, ...copied.filter(({ isNative }) => !isNative)]),
    await folder.copy(
      service,
      copied.filter(({ isNative }) => isNative),
    ),
  ];
  const own = [service, ...inline];
  const descriptorOf = (at: string) => graph.services.get(at) as ServiceDescriptor;
  const isEntry = service === graph.entry;
  const manifest: Omit<ServiceManifest, "digest" | "sourceMap" | "platform"> = {
    ...{ ekiben: "service", format: manifestVersion, service },
    contract: contractDigest(formOf(service)),
    dependsOn: listEdges(graph, own, contracts),
    inline,
    options: {
      declared: Object.fromEntries(own.map((at) => [at, declaredPlain(descriptorOf(at), plain)])),
      ...(appFile !== undefined && {
        appFile: { path: appFile.path, value: cutAppFile(appFile.value, own, isEntry) },
      }),
    },
    functions,
    app: { name, entry: graph.entry },
    toolchain,
    files: sortRecords([...written, ...plainFiles]),
  };
  const native = sortRecords([...nativeFiles]);
  const whole: ServiceManifest = {
    ...manifest,
    digest: digestOf(manifest),
    // It has the text of whole files, in which other services may stand.
    sourceMap: Object.fromEntries(mapped),
    ...(nativeFiles.size > 0 && {
      platform: { target: formatPlatform(platform), digest: digestOf(native), files: native },
    }),
  };
  await folder.write(service, [{ target: manifestFile, content: toJson(whole) }]);
  return whole;
}

function listEdges(
  graph: Graph,
  from: readonly string[],
  contracts: ReadonlyMap<string, ContractForm>,
): ManifestEdge[] {
  return graph.edges
    .filter((edge) => from.includes(edge.from))
    .map(({ from: caller, field, to, options: { timeoutMs } }) => ({
      ...{ from: caller, field, to },
      ...(timeoutMs !== undefined && { timeoutMs }),
      contract: contractDigest(contracts.get(to) as ContractForm),
    }));
}

const sortRecords = (records: readonly (readonly [string, FileRecord])[]): Record<string, FileRecord> =>
  Object.fromEntries([...records].sort(([a], [b]) => (a < b ? -1 : 1)));

/** Gives ekiben the functions of the app file. They share the modules of the service. */
const appProgram = `const { loadAppFile } = await import("./service.mjs");
const loaded = await loadAppFile();
export default loaded.default;
`;

/** Starts a build where nothing is installed. */
export const startProgram = `// Runs this build: node start.mjs [service] [flags]
//
//   node start.mjs --port 8080       the whole app
//   node start.mjs Ranker            one service of it
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const build = dirname(fileURLToPath(import.meta.url));
const [first = "", ...rest] = process.argv.slice(2);
const isService = /^[\\w$]/.test(first) && existsSync(join(build, first, "manifest.json"));
const flags = isService || first === "" ? rest : [first, ...rest];
process.argv.splice(2, Number.POSITIVE_INFINITY, "serve", isService ? join(build, first) : build, ...flags);
await import("./node_modules/ekiben/dist/cli/main.js");
`;
