import { createHash, createHmac, randomBytes } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { fail } from "../failure/failures.js";
import { messageOf } from "../failure/to-serving-error.js";
import type { ContextRequest } from "../options/app-file.js";
import { createIdentify, type Identify, maxTokenChars, readBearer } from "./any-of.js";

// API keys from a file.
//
// AK1  A change of the file holds from the next request on. A file that can't be read lets nobody in. A file with an
//      invalid line is read once, however many requests come, until it changes.
// AK2  A request's key is hashed before it is compared, with a secret of this process: a hash from the file opens
//      nothing, and the time of a comparison says nothing about a key.
// AK3  No key is in a message; a line of the file is named by its number.

/** Options of `apiKeys()`. */
export interface ApiKeysOptions {
  /** File with a name and a key in each line. A relative path begins in the working directory. */
  readonly file: string | URL;
}

/** Context of a request that was let in by its API key. */
export interface KeyContext {
  /** Name of the key, as in the file. */
  readonly key: string;
}

const maxFileBytes = 1024 ** 2;
const minKeyChars = 16;
const lineForm = /^([\w.@-]{1,100})[ \t]+(\S+)$/;
/** Characters that a header carries as they are. */
const keyForm = /^[\x21-\x7e]+$/;
const hashForm = /^sha256:([0-9a-f]{64})$/i;

/**
 * Finds out who is asking by API keys: `authorization: Bearer <key>` or `x-api-key: <key>`. For `context` of the app
 * file.
 *
 * Each line of the file is a name and a key of at least 16 characters, or `sha256:` and the hash of a key:
 * `ci sha256:9f86d0…`. A name may have several keys, while one replaces another. Lines that begin with `#` are
 * comments. The file is read again when it changes.
 *
 * @throws {ServingError} `auth_misconfigured` at once, for a file that can't be read or has an invalid line.
 */
export function apiKeys({ file }: ApiKeysOptions): Identify<KeyContext> {
  const keys = new KeyFile(file instanceof URL ? fileURLToPath(file) : file);
  try {
    keys.refresh();
  } catch (error) {
    throw fail("auth_misconfigured", { what: "apiKeys()", problem: messageOf(error) }, { cause: error });
  }
  return createIdentify(async (request) => {
    const key = readKey(request);
    if (key === undefined) {
      throw fail("credentials_missing", { expected: "authorization: Bearer <key>, or x-api-key: <key>" });
    }
    try {
      keys.refresh();
    } catch (cause) {
      throw fail("credentials_unavailable", { what: "the file of API keys" }, { cause });
    }
    const name = keys.find(key);
    if (name !== undefined) return { key: name };
    throw fail("credentials_refused", { problem: "the API key is unknown", challenge: 'Bearer error="invalid_token"' });
  }, keyPlaces);
}

const keyPlaces = [{ kind: "bearer" }, { kind: "header", name: "x-api-key" }] as const;

function readKey(request: ContextRequest): string | undefined {
  const given = request.headers["x-api-key"];
  return given === undefined || given === "" ? readBearer(request) : given;
}

class KeyFile {
  readonly #file: string;
  readonly #secret = randomBytes(32);
  /** Names by keyed digest (AK2). */
  #names: ReadonlyMap<string, string> = new Map();
  /** State of the file when it was read. */
  #version: string | undefined;
  /** Fault of the file in that state. */
  #fault: Error | undefined;

  constructor(file: string) {
    this.#file = file;
  }

  /** Reads the file if it has changed (AK1). @throws {Error} naming the file, and the line that is invalid. */
  refresh(): void {
    // Asking costs less than the rest of a request, and follows the links by which Kubernetes replaces a secret.
    const { mtimeNs, ctimeNs, ino, size } = statSync(this.#file, { bigint: true });
    const version = `${mtimeNs} ${ctimeNs} ${ino} ${size}`;
    if (version !== this.#version) this.#read(version, size);
    if (this.#fault !== undefined) throw this.#fault;
  }

  #read(version: string, size: bigint): void {
    // Unset first: a file that can't be read lets nobody in, and is read again by the next request.
    this.#version = undefined;
    this.#fault = undefined;
    if (size > maxFileBytes) throw new Error(`${this.#file} has ${size} bytes; ${maxFileBytes} are allowed`);
    const text = readFileSync(this.#file, "utf8");
    try {
      this.#names = this.#parse(text);
    } catch (error) {
      this.#fault = error as Error;
    }
    this.#version = version;
  }

  find(key: string): string | undefined {
    return this.#names.get(this.#digest(createHash("sha256").update(key).digest()));
  }

  #parse(text: string): Map<string, string> {
    const names = new Map<string, string>();
    for (const [index, line] of text.split(/\r?\n/).entries()) {
      const content = line.trim();
      if (content === "" || content.startsWith("#")) continue;
      const [, name, key] = lineForm.exec(content) ?? [];
      const problem = name === undefined || key === undefined ? "is not a name and a key" : this.#add(names, name, key);
      if (problem !== undefined) throw new Error(`line ${index + 1} of ${this.#file} ${problem}`);
    }
    return names;
  }

  /** @returns Problem of the key, without the key itself (AK3). */
  #add(names: Map<string, string>, name: string, key: string): string | undefined {
    const hex = hashForm.exec(key)?.[1];
    if (hex === undefined && key.toLowerCase().startsWith("sha256:"))
      return "has no 64 hexadecimal digits after sha256:";
    if (hex === undefined && key.length < minKeyChars) return `has a key of less than ${minKeyChars} characters`;
    if (hex === undefined && key.length > maxTokenChars) return `has a key of more than ${maxTokenChars} characters`;
    if (hex === undefined && !keyForm.test(key)) return "has a key with characters that no header carries: use ASCII";
    const hash = hex === undefined ? createHash("sha256").update(key).digest() : Buffer.from(hex, "hex");
    const digest = this.#digest(hash);
    const owner = names.get(digest);
    if (owner !== undefined && owner !== name) return `has the key of ${owner}`;
    names.set(digest, name);
    return undefined;
  }

  #digest(hash: Buffer): string {
    return createHmac("sha256", this.#secret).update(hash).digest("base64");
  }
}
