// Entry of the process that answers while the entry service has no replica   <-> app/stand-in.ts
import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { systemClock, within } from "../base/clock.js";
import { fail } from "../failure/failures.js";
import type { CertificatePaths } from "../http/certificate.js";
import { type AllowedHosts, createHostCheck, type HostCheck } from "../http/host-check.js";
import { type AppAnswers, type ControlAnswer, ControlRequests } from "../placement/control.js";

/** Questions of a stand-in to its supervisor, and the answers. */
export interface StandInAnswers extends AppAnswers {
  /** Body of the answer to every call, and the seconds after which a client may try again. */
  failure: { readonly body: object; readonly retryAfter: number };
}

/** Settings of the server that a stand-in stands for. */
export interface StandInOrder {
  /** Paths of the probes that it answers. */
  readonly paths: readonly string[];
  /** Address that it listens on. */
  readonly host: string;
  readonly allowedHosts: AllowedHosts;
  readonly certificate: CertificatePaths;
}

/** Message from the supervisor to a stand-in. */
export type ToStandIn =
  /** Sent together with the socket. */
  | ({ readonly kind: "listen" } & StandInOrder)
  | ({ readonly kind: "answer" } & ControlAnswer)
  /** A replica answers again: accept nothing more, answer what was accepted, and end. */
  | { readonly kind: "close" };

/** Message from a stand-in to the supervisor. */
export type FromStandIn =
  | { readonly kind: "up" }
  | { readonly kind: "ask"; readonly number: number; readonly what: keyof StandInAnswers };

const askLimitMs = 3_000;
/** Longest time to answer what was accepted. */
const closeLimitMs = askLimitMs + 1_000;

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"]) process.on(signal, () => {});
process.on("disconnect", () => process.exit(0));

const send = (message: FromStandIn) => process.send?.(message, undefined, undefined, () => {});
const requests = new ControlRequests<StandInAnswers>(systemClock, (number, what) =>
  send({ kind: "ask", number, what }),
);
let server: Server | undefined;
let paths: readonly string[] = [];
let hosts: HostCheck | undefined;
process.on("message", (message: ToStandIn, handle: unknown) => {
  if (message.kind === "listen") listen(message, handle);
  else if (message.kind === "answer") requests.receive(message);
  else void close().finally(() => process.exit(0));
});
send({ kind: "up" });

function listen({ paths: own, host, allowedHosts, certificate }: StandInOrder, handle: unknown): void {
  paths = own;
  const { tlsCert, tlsKey } = certificate;
  const listening =
    tlsCert === ""
      ? createServer(receive)
      : createSecureServer({ cert: readFileSync(tlsCert), key: readFileSync(tlsKey) }, receive);
  server = listening;
  listening.on("error", () => {});
  listening.listen(handle as Server, () => {
    hosts = createHostCheck(listening.address(), host, allowedHosts);
  });
}

function receive(request: IncomingMessage, response: ServerResponse): void {
  // Clients come back to a replica on a new connection.
  response.shouldKeepAlive = false;
  request.resume();
  answer(request, response).catch(() => response.writeHead(503).end());
}

async function close(): Promise<void> {
  const closed = new Promise<void>((resolve) => (server === undefined ? resolve() : server.close(() => resolve())));
  await within(systemClock, closeLimitMs, closed, () => {});
}

/**
 * Answers `/livez`, `/healthz`, `/readyz` and `/metrics` as the entry replicas would. Every other request gets the
 * failure of a call to the entry service.
 */
async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { host } = request.headers;
  if (host !== undefined && hosts?.allows(host) === false) {
    const { code, id, message, details, httpStatus } = fail("host_not_allowed", { host });
    writeJson(response, httpStatus, { error: message, code, id, service: "", api: "", details });
    return;
  }
  const [asked = ""] = (request.url ?? "").split("?");
  const path = paths.includes(asked) ? asked : "";
  if (path === "/livez" || path === "/healthz") {
    writeJson(response, 200, { status: "live" });
  } else if (path === "/readyz") {
    const { services } = await requests.ask("readiness", askLimitMs);
    writeJson(response, 503, { status: "not ready", services });
  } else if (path === "/metrics") {
    const { contentType, body } = await requests.ask("metrics", askLimitMs);
    response.writeHead(200, { "content-type": contentType }).end(body);
  } else {
    const { body, retryAfter } = await requests.ask("failure", askLimitMs);
    response.setHeader("retry-after", String(retryAfter));
    writeJson(response, 503, body);
  }
}

function writeJson(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { "content-type": "application/json; charset=utf-8" }).end(JSON.stringify(body));
}
