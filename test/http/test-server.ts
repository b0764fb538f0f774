import { type Logger, silentLogger } from "../../src/base/logger.js";
import { CallScope, type CallTime, systemTime } from "../../src/call/call-scope.js";
import { type ApiTarget, invoke, invokeStream } from "../../src/call/invoke.js";
import { createTarget, readApi } from "../../src/define/api.js";
import type { ServiceClass } from "../../src/define/depends.js";
import { describeService } from "../../src/define/describe-service.js";
import { fail } from "../../src/failure/fail.js";
import { ServingError } from "../../src/failure/serving-error.js";
import type { Graph } from "../../src/graph/graph.js";
import type { EdgeCall, EntryCaller } from "../../src/handle/pending-call.js";
import { createHttpServer, type HttpServer, type HttpServerParts } from "../../src/http/server.js";
import type { HttpSettings } from "../../src/options/settings.js";

/** Settings of a test's server. */
export const testSettings: HttpSettings = {
  cors: false,
  maxBodyBytes: 1_000_000,
  maxBodyDepth: 64,
  maxHeaderBytes: 16_384,
  bodyTimeoutMs: 10_000,
  maxConnections: 100,
  accessLog: false,
};

/** Calls a service in place, with scopes as a real handle makes them: what the edge is tested against. */
export function createTestCaller(service: ServiceClass, name: string, time: CallTime = systemTime): EntryCaller {
  const instance = new service() as Record<string, unknown>;
  const targets = new Map<string, ApiTarget>();
  for (const [field, value] of Object.entries(instance)) {
    const definition = readApi(value);
    if (definition !== undefined) targets.set(field, createTarget(definition));
  }
  const start = (api: string, call: EdgeCall) => {
    const now = time.clock.now();
    const deadline = call.timeoutMs === undefined ? Number.POSITIVE_INFINITY : now + call.timeoutMs;
    const caller = { service: "http", api: call.route };
    const { input, request } = call;
    return new CallScope({ service: name, api, input, deadline, caller, request, outside: true }, undefined, time, now);
  };
  const place = (api: string) => ({ service: name, api });
  return {
    call(api, call) {
      const scope = start(api, call);
      const cancelled = new Promise<never>((_, reject) => scope.onCancel(reject));
      const work = invoke(targets.get(api) as ApiTarget, call.input, scope, true);
      const reply = Promise.race([work, cancelled]).finally(() => scope.close());
      return { scope, reply: reply.catch((error: unknown) => Promise.reject(toFailure(error, place(api)))) };
    },
    open(api, call) {
      const scope = start(api, call);
      return { scope, items: readItems(targets.get(api) as ApiTarget, call.input, scope, place(api)) };
    },
  };
}

async function* readItems(target: ApiTarget, input: unknown, scope: CallScope, place: Place) {
  const cancelled = new Promise<never>((_, reject) => scope.onCancel(reject));
  cancelled.catch(() => {});
  const items = invokeStream(target, input, scope, true);
  try {
    for (;;) {
      const step = await Promise.race([items.next(), cancelled]);
      if (step.done) return;
      yield step.value;
    }
  } catch (error) {
    throw toFailure(error, place);
  } finally {
    scope.close();
    void items.return().catch(() => {});
  }
}

interface Place {
  readonly service: string;
  readonly api: string;
}

function toFailure(error: unknown, place: Place): ServingError {
  if (!(error instanceof ServingError))
    return fail("unhandled_error", { error: String(error) }, { ...place, cause: error });
  const { code, id, message, details, httpStatus } = error;
  return new ServingError({ code, id, message, details, httpStatus, ...place });
}

/** The graph of one service without dependencies. */
export function createTestGraph(service: ServiceClass): Graph {
  const descriptor = describeService(service);
  return { entry: descriptor.name, services: new Map([[descriptor.name, descriptor]]), edges: [] };
}

/** An HTTP server in front of one service, called in place. It does not listen until asked to. */
export async function createTestServer(
  service: ServiceClass,
  settings: Partial<HttpSettings> = {},
  parts: Partial<HttpServerParts> = {},
): Promise<HttpServer> {
  const graph = createTestGraph(service);
  const log: Logger = silentLogger;
  return createHttpServer({
    graph,
    settings: { ...testSettings, ...settings },
    server: { host: "127.0.0.1", port: 0 },
    apis: new Map(),
    caller: createTestCaller(service, graph.entry, parts.time),
    readiness: async () => ({ isReady: true, services: [] }),
    metrics: async () => ({ contentType: "text/plain; version=0.0.4", body: "up 1\n" }),
    log,
    ...parts,
  });
}
