import { resolve } from "node:path";
import { filePath } from "./address-types.js";
import { hostNames, origins, proxies } from "./list-types.js";
import { outsideSources, row, type SourceKind } from "./option.js";
import { bool, integer, milliseconds, size } from "./value-types.js";

/** Sources of options that an app has through its entry service. */
const entrySources: readonly SourceKind[] = [...outsideSources, "service"];

/** Makes a path that stays the same when a program changes its folder. */
const toPath = (path: string): string => (path === "" ? "" : resolve(path));

/** Options of the HTTP server: one value for the whole app. */
export const httpOptions = {
  cors: row(origins, {
    default: false,
    sources: entrySources,
    text: "Origins whose pages may call the apis from a browser; true allows any.",
  }),
  maxBodyBytes: row(size(1), {
    default: 16 * 1024 ** 2,
    sources: entrySources,
    text: "Largest request body, or largest item of a body that is a stream; a larger one is refused with 413.",
  }),
  maxBodyDepth: row(integer({ min: 1, max: 1000 }), {
    default: 64,
    sources: entrySources,
    text: "Levels of nesting that a JSON body may have.",
  }),
  maxBodyValues: row(integer({ min: 1, max: 100_000_000 }), {
    default: 1_000_000,
    sources: entrySources,
    text: "Numbers, texts, lists and objects that a JSON body, or one item of a body that is a stream, may hold; more are refused with 413.",
  }),
  maxHeaderBytes: row(size(1024), {
    default: 16 * 1024,
    sources: entrySources,
    text: "Largest sum of request headers; larger ones are refused with 431.",
  }),
  bodyTimeoutMs: row(milliseconds(1), {
    default: 10_000,
    sources: entrySources,
    text: "Longest time from the end of the headers to the first byte of the body, and again to its last byte.",
  }),
  contextTimeoutMs: row(milliseconds(1), {
    default: 5_000,
    sources: entrySources,
    text: "Longest time for `context` of the app file to find out who is asking; then the request is refused with 503.",
  }),
  streamIdleMs: row(milliseconds(0), {
    default: 60_000,
    sources: entrySources,
    text: "Longest time without data in either direction of a stream; then it ends with stream_idle. 0 is no limit.",
  }),
  heartbeatMs: row(milliseconds(0), {
    default: 15_000,
    sources: entrySources,
    text: "Silence of a stream of events or lines after which an empty line is sent, so that proxies keep it open; 0 is never.",
  }),
  keepAliveMs: row(milliseconds(1000), {
    default: 72_000,
    sources: entrySources,
    text: "Longest idle time of a connection between two requests. Set it higher than the idle time of the load balancer in front, so that the balancer closes first.",
  }),
  maxConnections: row(integer({ min: 1 }), {
    default: 10_000,
    sources: entrySources,
    text: "Open connections. One more closes the connection that has been idle longest; while none is idle, only probes are answered.",
  }),
  tlsCert: row(filePath, {
    default: "",
    settle: toPath,
    defaultText: "none: plain HTTP",
    sources: entrySources,
    text: "PEM file with the certificate of the server, and below it those of its issuers: the server then speaks HTTPS. It is read again within 10 s of a change. Needs http.tlsKey. The server on adminPort speaks plain HTTP.",
  }),
  tlsKey: row(filePath, {
    default: "",
    settle: toPath,
    sources: entrySources,
    text: "PEM file with the private key of http.tlsCert.",
  }),
  http2: row(bool, {
    default: false,
    sources: entrySources,
    text: "Speaks HTTP/2 with clients that offer it, HTTP/1.1 with the others. Needs http.tlsCert.",
  }),
  trustProxy: row(proxies, {
    default: false,
    sources: entrySources,
    text: "Proxies in front whose x-forwarded headers say who the client is: their addresses or networks. The address of the client is in the access log and in `context`. true trusts every sender.",
  }),
  accessLog: row(bool, { default: true, sources: entrySources, text: "Writes one log line for each request." }),
  docs: row(bool, { default: true, sources: entrySources, text: "Serves the page /docs. Needs http.openapi too." }),
  openapi: row(bool, { default: true, sources: entrySources, text: "Serves /openapi.json." }),
  schema: row(bool, {
    default: true,
    sources: entrySources,
    text: "Serves /schema.json, on both ports: the client of ekiben reads it before its first call.",
  }),
  metrics: row(bool, { default: true, sources: entrySources, text: "Serves /metrics." }),
  allowedHosts: row(hostNames, {
    default: [],
    sources: entrySources,
    text: "Host names that the server answers to besides localhost, its own and addresses, for example that of a proxy in front; others are refused with 421. Without names, a server that other machines reach takes any name, and one on a loopback address none; true takes any.",
  }),
};
