import { constants, createHmac, X509Certificate } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import net from "node:net";
import tls from "node:tls";
import type { Clock } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import { RepeatPace } from "../base/repeat-pace.js";
import { fail } from "../failure/failures.js";
import { systemProblem } from "../failure/read-thrown.js";
import { ServingError } from "../failure/serving-error.js";
import { messageOf } from "../failure/to-serving-error.js";

// Keys and certificates of connections between machines, for both sides.
//
// ES1  A connection is secured only when both sides have proved who they are: by a certificate of the authority, or by
//      the same edge key. No session is resumed: it would skip that proof.
// ES2  A file that has changed holds for the next connection. While the new version can't be used, the old one holds.
// ES3  No message and no log line has a key, or a part of one.

/** Paths of the files; absent for those that were not given. */
export interface EdgeFiles {
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** Certificates of the authorities; absent for a certificate that is its own. */
  readonly ca?: string | undefined;
  readonly edgeKey?: string | undefined;
}

interface EdgeSecurityDeps {
  readonly files: EdgeFiles;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Contents of the files once they were checked. */
type Material =
  | { readonly kind: "certificate"; readonly cert: string; readonly key: string; readonly ca: string }
  | { readonly kind: "key"; readonly keys: readonly EdgeKey[] };

/** One edge key: its name on the wire, which tells nothing of it, and the bytes that TLS uses. */
interface EdgeKey {
  readonly identity: string;
  readonly psk: Buffer;
}

/** Time between two looks at the files, in milliseconds. */
const lookIntervalMs = 1_000;
/** Largest file, in bytes. */
const maxFileBytes = 1024 ** 2;
const minKeyChars = 32;
const maxKeyChars = 512;
/** Fewest different characters of a key: random text of 32 characters has some 20. */
const minKeyLetters = 10;
/** Most keys of a file: the one in use, and those that it replaces or that will replace it. */
const maxKeys = 8;

/** Protocol that both sides name in the handshake, so that another program is refused there. */
const protocol = "ekiben";

/** Settings of every connection. TLS 1.3 gives each connection keys of its own (forward secrecy). */
const commonOptions = {
  minVersion: "TLSv1.3",
  ALPNProtocols: [protocol],
  secureOptions: constants.SSL_OP_NO_TICKET,
} as const satisfies tls.TlsOptions;

/** The suite that takes an external key in TLS 1.3: keys of OpenSSL's callbacks are bound to SHA-256. */
const keyOptions = { ...commonOptions, ciphers: "TLS_AES_128_GCM_SHA256" } as const;

export class EdgeSecurity {
  /** Number of versions that were read; another one means that a server should take new options. */
  version = 0;
  readonly #files: EdgeFiles;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #pace = new RepeatPace();
  #material: Material | undefined;
  /** State of the files when they were read. */
  #state = "";
  #lookedAt = Number.NEGATIVE_INFINITY;
  #context: tls.SecureContext | undefined;
  /** Connections whose caller has named a key that this side does not have. */
  readonly #unknownKeys = new WeakSet<object>();

  constructor({ files, clock, log }: EdgeSecurityDeps) {
    this.#files = files;
    this.#clock = clock;
    this.#log = log;
  }

  /** True when connections are secured, false when no file was given. */
  get isOn(): boolean {
    return this.#files.cert !== undefined || this.#files.edgeKey !== undefined;
  }

  /** Reads the files for the first time. @throws {ServingError} `edge_file_unusable`. */
  load(): void {
    if (this.#material !== undefined || !this.isOn) return;
    const state = this.#readState();
    this.#material = this.#read();
    this.#state = state;
    this.#lookedAt = this.#clock.now();
    this.version++;
    this.#warnOfReaders();
  }

  /** Reads the files again if they have changed (ES2). */
  refresh(): void {
    const now = this.#clock.now();
    if (!this.isOn || now - this.#lookedAt < lookIntervalMs) return;
    this.#lookedAt = now;
    try {
      const state = this.#readState();
      if (state === this.#state) return;
      this.#material = this.#read();
      this.#state = state;
      this.#context = undefined;
      this.version++;
      this.#pace.reset();
      this.#log.info({ files: this.#paths }, "certificates and keys of connections between machines were read again");
      this.#warnOfReaders();
    } catch (error) {
      if (!this.#pace.isDue(now)) return;
      const { message, fix } = error as ServingError;
      this.#log.error({ files: this.#paths, problem: message, fix }, `${message}; the version read before is used`);
    }
  }

  /** Options of `tls.createServer`, and of `setSecureContext` when `version` has changed. */
  serverOptions(): tls.TlsOptions {
    const material = this.#require();
    if (material.kind === "key") return { ...keyOptions, pskCallback: (socket, name) => this.#findKey(socket, name) };
    const { cert, key, ca } = material;
    // Who is refused is decided by `findCallerProblem`: it can tell the caller why.
    return { ...commonOptions, cert, key, ca, requestCert: true, rejectUnauthorized: false };
  }

  /**
   * Options of `tls.connect` besides the address.
   *
   * @param name Name of the callee, which its certificate must have. An edge key has no names.
   */
  clientOptions(name: string): tls.ConnectionOptions {
    this.refresh();
    const material = this.#require();
    this.#context ??= createClientContext(material);
    const options = { ALPNProtocols: [protocol], secureContext: this.#context, rejectUnauthorized: true };
    if (material.kind === "certificate") return net.isIP(name) === 0 ? { ...options, servername: name } : options;
    const [first] = material.keys as readonly [EdgeKey];
    // A callee without the key could only show a certificate, and none is trusted here (ES1).
    const refuseCertificate = (_: string, cert: tls.PeerCertificate) =>
      cert?.raw === undefined ? undefined : new Error("it showed a certificate where an edge key is expected");
    return { ...options, ...keyOptions, pskCallback: () => first, checkServerIdentity: refuseCertificate };
  }

  /** Reason why the caller of a connection that is encrypted now is refused; `undefined` to let it in (ES1). */
  findCallerProblem(socket: tls.TLSSocket): string | undefined {
    if (this.#require().kind === "key") return undefined;
    if (socket.getPeerX509Certificate() === undefined) return "it shows no certificate (tls.cert)";
    if (socket.isSessionReused()) return "it resumes a session";
    return socket.authorized ? undefined : explainEdgeError({ code: String(socket.authorizationError) });
  }

  /** Reason why a handshake with a caller failed. */
  explainHandshake(error: unknown, socket: object): string {
    return this.#unknownKeys.has(socket) ? otherKey : explainEdgeError(error);
  }

  get #paths(): string[] {
    const { cert, key, ca, edgeKey } = this.#files;
    return [cert, key, ca, edgeKey].filter((path) => path !== undefined);
  }

  #require(): Material {
    this.load();
    return this.#material as Material;
  }

  #findKey(socket: object, identity: string): Buffer | null {
    const material = this.#material;
    const found = material?.kind === "key" ? material.keys.find((key) => key.identity === identity) : undefined;
    if (found === undefined) this.#unknownKeys.add(socket);
    return found?.psk ?? null;
  }

  #readState(): string {
    return this.#paths
      .map((path) => {
        try {
          const { mtimeNs, ctimeNs, ino, size } = statSync(path, { bigint: true });
          if (size > maxFileBytes) throw unusable(path, `it has ${size} bytes; at most ${maxFileBytes} are allowed`);
          return `${mtimeNs} ${ctimeNs} ${ino} ${size}`;
        } catch (error) {
          throw error instanceof ServingError ? error : unusable(path, systemProblem(error));
        }
      })
      .join(",");
  }

  #read(): Material {
    const { cert, key, ca, edgeKey } = this.#files;
    if (edgeKey !== undefined) return { kind: "key", keys: readEdgeKeys(readText(edgeKey), edgeKey) };
    return readCertificate(cert as string, key as string, ca);
  }

  /** Warns of keys that other users of this machine may read. */
  #warnOfReaders(): void {
    const { key, edgeKey } = this.#files;
    for (const path of [key, edgeKey]) {
      if (path === undefined || !isOpenToOthers(path)) continue;
      this.#log.warn(
        { file: path },
        `${path} can be read or written by every user of this machine: chmod o-rwx ${path}`,
      );
    }
  }
}

/** True when users besides the owner and its group may read or write a file. Windows has no such modes. */
const isOpenToOthers = (path: string): boolean => process.platform !== "win32" && (statSync(path).mode & 0o006) !== 0;

const unusable = (file: string, problem: string): ServingError => fail("edge_file_unusable", { file, problem });

function readText(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    throw unusable(path, systemProblem(error));
  }
}

/** Reads the keys of a key file, one in each line; lines that begin with `#` are comments. */
function readEdgeKeys(text: string, file: string): readonly EdgeKey[] {
  const keys: EdgeKey[] = [];
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    const key = line.trim();
    if (key === "" || key.startsWith("#")) continue;
    const problem = findKeyProblem(key);
    if (problem !== undefined) throw unusable(file, `line ${index + 1} ${problem}`);
    keys.push({ identity: derive(key, "identity").toString("hex", 0, 16), psk: derive(key, "psk") });
  }
  if (keys.length === 0) throw unusable(file, "it has no key");
  if (keys.length > maxKeys) throw unusable(file, `it has ${keys.length} keys; at most ${maxKeys} are allowed`);
  return keys;
}

/** Problem of a key, without the key itself (ES3). */
function findKeyProblem(key: string): string | undefined {
  if (/\s/.test(key)) return "has spaces in it, and a key has none";
  if (key.length < minKeyChars) return `has a key of ${key.length} characters; at least ${minKeyChars} are needed`;
  if (key.length > maxKeyChars) return `has a key of ${key.length} characters; at most ${maxKeyChars} are allowed`;
  const letters = new Set(key).size;
  return letters < minKeyLetters
    ? `has a key of only ${letters} different characters; a random one has more than ${minKeyLetters}`
    : undefined;
}

/** Derives 32 bytes of a key, others for each use: the name on the wire tells nothing of the secret. */
const derive = (key: string, use: "identity" | "psk"): Buffer =>
  createHmac("sha256", key).update(`ekiben edge ${use} 1`).digest();

function readCertificate(certFile: string, keyFile: string, caFile: string | undefined): Material {
  const [cert, key] = [readText(certFile), readText(keyFile)];
  const own = parseCertificate(cert, certFile);
  const expires = Date.parse(own.validTo);
  if (expires < Date.now()) throw unusable(certFile, `the certificate has expired on ${own.validTo}`);
  if (caFile === undefined && !own.checkIssued(own))
    throw unusable(certFile, "an authority has signed the certificate, and tls.ca does not say which one callers need");
  const ca = caFile === undefined ? cert : readText(caFile);
  if (caFile !== undefined) parseCertificate(ca, caFile);
  try {
    tls.createSecureContext({ cert, key, ca });
  } catch (error) {
    throw unusable(keyFile, `it does not fit the certificate in ${certFile}: ${messageOf(error)}`);
  }
  return { kind: "certificate", cert, key, ca };
}

function parseCertificate(text: string, file: string): X509Certificate {
  try {
    return new X509Certificate(text);
  } catch {
    throw unusable(file, "it has no certificate in PEM form (-----BEGIN CERTIFICATE-----)");
  }
}

function createClientContext(material: Material): tls.SecureContext {
  if (material.kind === "key") return tls.createSecureContext({ ...keyOptions, ca: [] });
  const { cert, key, ca } = material;
  return tls.createSecureContext({ ...commonOptions, cert, key, ca });
}

const otherKey = "its edge key is none of those in edgeKeyFile here";

/** Explanations of errors of TLS by their codes; names of codes differ between versions of OpenSSL. */
const explanations: readonly (readonly [RegExp, string])[] = [
  [/HTTP_REQUEST|HTTPS_PROXY_REQUEST/, "it speaks plain HTTP"],
  [/HANDSHAKE_TIMEOUT/, "it did not finish the handshake in time"],
  [/CERT_HAS_EXPIRED|CERTIFICATE_EXPIRED/, "the certificate has expired"],
  [/CERT_NOT_YET_VALID/, "the certificate is not valid yet; the time of day may differ between the machines"],
  [/INVALID_PURPOSE/, "the certificate is not for this use (extendedKeyUsage must have clientAuth and serverAuth)"],
  [/SELF_SIGNED|UNABLE_TO_(GET_ISSUER|VERIFY_LEAF)|UNKNOWN_CA/, "no authority in tls.ca has signed the certificate"],
  [/DID_NOT_RETURN_A_CERTIFICATE|CERTIFICATE_REQUIRED/, "no certificate was shown (tls.cert)"],
  [/PSK_IDENTITY|BINDER|BAD_RECORD_MAC|DECRYPT_ERROR|DIGEST_CHECK/, "the edge keys of both sides differ"],
  [/APPLICATION_PROTOCOL/, "it is no app of ekiben, or one of another version"],
  [
    /NO_SHARED_CIPHER|NO_SUITABLE|HANDSHAKE_FAILURE|NO_CERTIFICATE_SET|MISSING_PSK|NO_SUPPORTED/,
    "it is secured in another way: both sides need an edge key, or both certificates; or the edge keys differ",
  ],
  [
    /WRONG_VERSION|UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION|UNKNOWN_PROTOCOL|UNEXPECTED_MESSAGE|RECORD|LENGTH|TOO_LONG/,
    "it does not speak TLS 1.3",
  ],
  [/ECONNRESET|EPIPE/, "it hung up"],
];

/** Explains an error of a handshake, or of a certificate, in words. "It" is the other side. */
export function explainEdgeError(error: unknown): string {
  const { code } = (error ?? {}) as { readonly code?: unknown };
  const found = explanations.find(([pattern]) => typeof code === "string" && pattern.test(code));
  return found?.[1] ?? systemProblem(error);
}
