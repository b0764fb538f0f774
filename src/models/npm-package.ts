import { createReadStream, existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { createGunzip } from "node:zlib";
import type { ModelSource } from "../define/model.js";
import { DownloadRefused } from "./download.js";
import { readTar, TarError, type TarFile } from "./read-tar.js";

type NpmSource = Extract<ModelSource, { kind: "npm" }>;

/** Longest wait for the document of a package, and its largest size. */
const documentMs = 30_000;
const mostDocumentBytes = 64 * 1024 ** 2;
const defaultRegistry = "https://registry.npmjs.org/";

/** Archive of one version of a package. */
export interface Tarball {
  readonly url: URL;
  /** Digest of the archive, as the registry gives it. */
  readonly integrity: { readonly algorithm: string; readonly digest: string };
  /** Headers for the registry's own origin. */
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * Finds a file in `node_modules`, in a folder or above it.
 *
 * @returns `undefined` where no such version of the package is installed, or it lacks the file.
 */
export function findInstalled({ package: name, version, path }: NpmSource, folder: string): string | undefined {
  for (let above = folder; ; above = dirname(above)) {
    const own = join(above, "node_modules", name);
    const file = join(own, path);
    if (readVersion(own) === version && existsSync(file)) return file;
    if (dirname(above) === above) return undefined;
  }
}

function readVersion(folder: string): string | undefined {
  try {
    return (JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as { version?: string }).version;
  } catch {
    return undefined;
  }
}

/**
 * Asks the registry of npm's configuration for the archive of a version.
 *
 * @param folder Folder from which `.npmrc` is looked up.
 * @throws {DownloadRefused} where there is no such version.
 */
export async function findTarball(
  { package: name, version }: NpmSource,
  { folder, env, signal }: { readonly folder: string; readonly env: NodeJS.ProcessEnv; readonly signal: AbortSignal },
): Promise<Tarball> {
  const config = readNpmConfig(folder, env);
  const registry = registryOf(name, config);
  const headers = authorize(registry, config);
  const url = new URL(name.replace("/", "%2f"), registry);
  const accept = "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8";
  const limit = AbortSignal.any([signal, AbortSignal.timeout(documentMs)]);
  const response = await fetch(url, { headers: { ...headers, accept }, signal: limit }).catch((error: unknown) => {
    throw (error as { cause?: unknown }).cause ?? error;
  });
  if (!response.ok) {
    await response.body?.cancel();
    const text = `the registry ${registry.origin} answers with status ${response.status} for ${name}`;
    throw response.status >= 500 || response.status === 429 ? new Error(text) : new DownloadRefused(text);
  }
  const { versions = {} } = (await readJson(response)) as { versions?: Record<string, { dist?: Dist }> };
  const dist = Object.hasOwn(versions, version) ? versions[version]?.dist : undefined;
  if (typeof dist?.tarball !== "string") {
    throw new DownloadRefused(`the registry ${registry.origin} has no version ${version} of ${name}`);
  }
  const tarball = new URL(dist.tarball, registry);
  return { url: tarball, integrity: readIntegrity(dist), headers: tarball.origin === registry.origin ? headers : {} };
}

interface Dist {
  readonly tarball?: unknown;
  readonly integrity?: unknown;
  readonly shasum?: unknown;
}

function readIntegrity({ integrity, shasum }: Dist): Tarball["integrity"] {
  const [, algorithm, base64 = ""] = /(?:^|\s)(sha512|sha384|sha256)-([A-Za-z0-9+/]+=*)/.exec(String(integrity)) ?? [];
  if (algorithm !== undefined) return { algorithm, digest: Buffer.from(base64, "base64").toString("hex") };
  if (typeof shasum === "string" && /^[0-9a-f]{40}$/i.test(shasum)) return { algorithm: "sha1", digest: shasum };
  throw new DownloadRefused("the registry gives no digest of the package");
}

async function readJson(response: Response): Promise<unknown> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const part of response.body ?? []) {
    bytes += (part as Uint8Array).length;
    if (bytes > mostDocumentBytes) throw new DownloadRefused("the document of the package is too large");
    parts.push(part as Uint8Array);
  }
  try {
    return JSON.parse(Buffer.concat(parts).toString("utf8"));
  } catch {
    throw new DownloadRefused("the registry's answer is not JSON");
  }
}

/**
 * Reads one file of an archive.
 *
 * @param onFile Reads its content.
 * @returns      False when the archive has no such file.
 * @throws {TarError} for a damaged archive.
 */
export async function readPackageFile(
  archive: string,
  path: string,
  onFile: (file: TarFile) => Promise<void>,
): Promise<boolean> {
  let isFound = false;
  const packed = createReadStream(archive);
  const bytes = packed.pipe(createGunzip());
  packed.on("error", (error) => bytes.destroy(error));
  try {
    await readTar(bytes, async (file) => {
      if (file.path !== path || isFound) return;
      isFound = true;
      await onFile(file);
    });
  } catch (error) {
    // zlib's errors: the archive is no gzip, or damaged.
    if (String((error as NodeJS.ErrnoException).code).startsWith("Z_")) throw new TarError((error as Error).message);
    throw error;
  } finally {
    packed.destroy();
    bytes.destroy();
  }
  return isFound;
}

type NpmConfig = ReadonlyMap<string, string>;

/** Reads npm's configuration: variables, then `.npmrc` of the project, then the one of the user. */
function readNpmConfig(folder: string, env: NodeJS.ProcessEnv): NpmConfig {
  const variables = Object.entries(env).flatMap(([name, value = ""]) =>
    /^npm_config_/i.test(name) ? [[name.slice("npm_config_".length), value] as const] : [],
  );
  const isPlain = (name: string) => !name.startsWith("@") && !name.startsWith("//");
  const own = new Map(variables.map(([name, value]) => [isPlain(name) ? name.toLowerCase() : name, value]));
  const user = own.get("userconfig") ?? join(homedir(), ".npmrc");
  const files = [user, findUpwards(folder, ".npmrc")].filter((file) => file !== undefined);
  return new Map([...files.flatMap((file) => readSettings(file, env)), ...own]);
}

function findUpwards(folder: string, name: string): string | undefined {
  if (existsSync(join(folder, name))) return join(folder, name);
  return dirname(folder) === folder ? undefined : findUpwards(dirname(folder), name);
}

function readSettings(file: string, env: NodeJS.ProcessEnv): [string, string][] {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch {
    return [];
  }
  return text.split("\n").flatMap((line): [string, string][] => {
    const [, name, value = ""] = /^\s*([^#;=\s][^=]*?)\s*=\s*(.*?)\s*$/.exec(line) ?? [];
    const filled = value.replace(/\$\{(\w+)\??\}/g, (_, variable: string) => env[variable] ?? "");
    return name === undefined ? [] : [[name, filled.replace(/^"(.*)"$/, "$1")]];
  });
}

function registryOf(name: string, config: NpmConfig): URL {
  const scope = name.startsWith("@") ? config.get(`${name.split("/", 1)[0]}:registry`) : undefined;
  const text = scope ?? config.get("registry") ?? defaultRegistry;
  if (!URL.canParse(text)) throw new DownloadRefused("the registry in npm's configuration is no address");
  return new URL(text.endsWith("/") ? text : `${text}/`);
}

/** Headers with the token that npm's configuration has for a registry, or the password of its address. */
function authorize(registry: URL, config: NpmConfig): Record<string, string> {
  const { username, password } = registry;
  if (username !== "") {
    // The address is part of messages from here on, and fetch refuses one with a password.
    [registry.username, registry.password] = ["", ""];
    const pair = `${decodeURIComponent(username)}:${decodeURIComponent(password)}`;
    return { authorization: `Basic ${Buffer.from(pair).toString("base64")}` };
  }
  for (let path = registry.pathname; ; path = path.replace(/[^/]*\/$/, "")) {
    const prefix = `//${registry.host}${path}`;
    const token = config.get(`${prefix}:_authToken`);
    if (token !== undefined && token !== "") return { authorization: `Bearer ${token}` };
    const basic = config.get(`${prefix}:_auth`);
    if (basic !== undefined && basic !== "") return { authorization: `Basic ${basic}` };
    if (path === "/" || path === "") return {};
  }
}
