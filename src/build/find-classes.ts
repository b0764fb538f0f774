import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { ServiceClass } from "../define/depends.js";
import type { ServiceDescriptor } from "../define/descriptor.js";
import { toFault } from "../define/descriptor.js";
import { readServiceFiles, readServiceOptions } from "../define/service.js";
import { fail, type GraphFault } from "../failure/failures.js";
import { findDeclaration } from "./author-module.js";
import type { Bundler, DeclaredClass } from "./bundle-service.js";
import { maskComments } from "./mask-comments.js";
import { packageOf } from "./packages.js";

/** Lists the files of authors that some files import, directly or not, with their texts. */
export async function readAuthorFiles(
  bundler: Bundler,
  project: string,
  entries: readonly string[],
): Promise<ReadonlyMap<string, string>> {
  const { metafile } = await bundler.build({
    absWorkingDir: project,
    entryPoints: [...entries],
    outdir: project,
    bundle: true,
    write: false,
    metafile: true,
    format: "esm",
    platform: "node",
    logLevel: "silent",
    plugins: [
      {
        name: "authors-only",
        setup: (build) => {
          build.onResolve({ filter: /^[^./]/ }, async ({ path, kind, importer, resolveDir, pluginData }) => {
            if (pluginData === "asked" || kind === "entry-point") return undefined;
            const found = await build.resolve(path, { kind, importer, resolveDir, pluginData: "asked" });
            const isPackage = found.errors.length > 0 || found.external || packageOf(found.path) !== undefined;
            return isPackage || /^ekiben(\/|$)/.test(path) ? { path, external: true } : undefined;
          });
          build.onResolve({ filter: /\.node$/ }, ({ path }) => ({ path, external: true }));
        },
      },
    ],
  });
  const files = Object.keys(metafile.inputs).map((path) => resolve(project, path));
  const scripts = files.filter((file) => /\.[cm]?[jt]sx?$/.test(file) && packageOf(file) === undefined);
  return new Map(scripts.sort().map((file) => [file, readFileSync(file, "utf8")]));
}

/**
 * Finds the file that declares each service. A class must be declared at the top level of a file: only there can a
 * bundle take it by itself, or put its contract in its place.
 */
export function findClasses(
  services: Iterable<ServiceDescriptor>,
  files: ReadonlyMap<string, string>,
  faults: GraphFault[],
): Map<string, DeclaredClass> {
  const masked = new Map([...files].map(([file, text]) => [file, maskComments(text)]));
  const found = new Map<string, DeclaredClass>();
  for (const { name, service } of services) {
    const local = service.name;
    const having = [...masked].filter(([, code]) => findDeclaration(code, local) !== undefined).map(([file]) => file);
    const made = readServiceFiles(service).map(toPath);
    const file = having.length < 2 ? having[0] : (having.find((own) => made.includes(own)) ?? undefined);
    if (file === undefined) {
      faults.push(toFault(name, "", fail("class_not_at_top", { service: name, local, files: having })));
    } else found.set(name, { service: name, local, file });
  }
  return found;
}

const toPath = (url: string): string => fileURLToPath(url.split("?", 1)[0] as string);

/** Finds the class below `service` in the chain of classes that it extends, if it is one of `others`. */
export function findAncestor(service: ServiceClass, others: ReadonlySet<ServiceClass>): ServiceClass | undefined {
  let parent: unknown = Object.getPrototypeOf(service);
  while (readServiceOptions(parent) !== undefined) {
    if (others.has(parent as ServiceClass)) return parent as ServiceClass;
    parent = Object.getPrototypeOf(parent as object);
  }
  return undefined;
}
