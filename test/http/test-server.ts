import assert from "node:assert/strict";
import { planApp } from "../../src/app/plan-app.js";
import { startApp } from "../../src/app/start-app.js";
import { silentLogger } from "../../src/base/logger.js";
import { systemTime } from "../../src/call/call-scope.js";
import type { ServiceClass } from "../../src/define/depends.js";
import { createHttpServer, type HttpServer, type HttpServerDeps } from "../../src/http/server.js";
import type { HttpSettings, ServiceSettings } from "../../src/options/settings.js";

/** A server that also stops its app when it closes. */
export interface TestServer extends HttpServer, AsyncDisposable {}

/** Options of a test server. */
export interface TestServerOptions {
  readonly settings?: Partial<HttpSettings>;
  readonly deps?: Partial<HttpServerDeps>;
  /** Folder or address of the task store; only for a service with tasks. */
  readonly data?: string;
}

/** Creates the real HTTP server for a real app, in this process. It has no port until it listens. */
export async function createTestServer(
  service: ServiceClass,
  { settings = {}, deps: parts = {}, data = "" }: TestServerOptions = {},
): Promise<TestServer> {
  const plan = planApp(service, {
    flags: {},
    env: {},
    appFile: { path: "test", value: { placement: "inline", data } },
  });
  const { graph, settings: decided } = plan;
  const { time = systemTime, log = silentLogger } = parts;
  const app = await startApp(plan, { locateEntry: () => assert.fail("everything is inline here"), time, log });
  const server = await createHttpServer({
    graph,
    settings: { ...decided.server.http, accessLog: false, ...settings },
    server: { host: "127.0.0.1", port: 0 },
    apis: (decided.services.get(graph.entry) as ServiceSettings).apis,
    caller: app.runtime.entryCaller(),
    readiness: () => app.readiness(),
    metrics: async () => ({ contentType: "text/plain; version=0.0.4", body: "up 1\n" }),
    log,
    ...parts,
  });
  const close = async (cut?: AbortSignal) => {
    await server.close(cut);
    await app.stop();
  };
  return { ...server, close, [Symbol.asyncDispose]: () => close() };
}
