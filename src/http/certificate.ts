import { readFileSync, statSync } from "node:fs";
import { createSecureContext, type Server } from "node:tls";
import type { Clock, Timer } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import { fail } from "../failure/failures.js";
import { systemProblem } from "../failure/read-thrown.js";

/** Interval of looks at the two files. A renewed certificate is in use after so long at most. */
const lookIntervalMs = 10_000;

/** Paths of a certificate, with those of its issuers below it, and of its key: PEM files. */
export interface CertificatePaths {
  readonly tlsCert: string;
  readonly tlsKey: string;
}

/** A certificate and its key, in PEM form. */
interface CertificatePair {
  readonly cert: Buffer;
  readonly key: Buffer;
}

/** Certificate of an HTTP server. It is read again when one of its files has changed. */
export class Certificate {
  /** The certificate as it was at the start. */
  readonly pair: CertificatePair;
  readonly #paths: CertificatePaths;
  readonly #log: Logger;
  readonly #clock: Clock;
  #version: string;
  #timer: Timer | undefined;

  /** @throws {ServingError} `certificate_unusable`. */
  constructor(paths: CertificatePaths, log: Logger, clock: Clock) {
    this.#paths = paths;
    this.#log = log;
    this.#clock = clock;
    this.#version = versionOf(paths);
    this.pair = readPair(paths);
  }

  /**
   * Gives later connections of a server the renewed certificate, until `close`. While the new files can't be used, the
   * server keeps the certificate that it has; each such version is logged once.
   */
  follow(server: Pick<Server, "setSecureContext">): void {
    this.#timer = this.#clock.setTimer(() => {
      this.#look(server);
      this.follow(server);
    }, lookIntervalMs);
  }

  close(): void {
    this.#timer?.clear();
  }

  #look(server: Pick<Server, "setSecureContext">): void {
    const version = versionOf(this.#paths);
    if (version === this.#version) return;
    this.#version = version;
    const { tlsCert } = this.#paths;
    try {
      server.setSecureContext(readPair(this.#paths));
      this.#log.info({ tlsCert }, `the certificate in ${tlsCert} has changed; new connections get the new one`);
    } catch (error) {
      const { message, fix } = error as { readonly message: string; readonly fix?: string };
      this.#log.error({ ...this.#paths, fix }, `${message}; the server keeps the certificate that it has`);
    }
  }
}

/**
 * Checks the certificate of an app before it starts, if it has one or needs one.
 *
 * @throws {ServingError} `certificate_unusable`.
 */
export function checkCertificate({ tlsCert, tlsKey, http2 }: CertificatePaths & { readonly http2: boolean }): void {
  if (tlsCert !== "" || tlsKey !== "" || http2) readPair({ tlsCert, tlsKey });
}

/** Reads a certificate and its key, which must belong together. @throws {ServingError} `certificate_unusable`. */
function readPair({ tlsCert, tlsKey }: CertificatePaths): CertificatePair {
  try {
    const pair = { cert: readFileSync(tlsCert), key: readFileSync(tlsKey) };
    createSecureContext(pair);
    return pair;
  } catch (error) {
    throw fail("certificate_unusable", { tlsCert, tlsKey, problem: systemProblem(error) }, { cause: error });
  }
}

/** Returns a text that differs when one of the files was written or replaced. */
const versionOf = ({ tlsCert, tlsKey }: CertificatePaths): string => [tlsCert, tlsKey].map(stampOf).join(" ");

function stampOf(path: string): string {
  try {
    const { ino, size, mtimeMs } = statSync(path);
    return `${ino}:${size}:${mtimeMs}`;
  } catch {
    return "";
  }
}
