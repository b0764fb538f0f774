import type { FastifyInstance, FastifyReply } from "fastify";
import type { MetricsPage } from "../observe/metrics.js";
import type { Readiness } from "../observe/readiness.js";
import type { ServerSettings } from "../options/settings.js";
import type { HttpState } from "./http-state.js";

/** Pages that a server answers besides the apis. */
export interface Pages {
  readonly probes: boolean;
  readonly metrics: boolean;
  readonly docs: boolean;
  readonly openapi: boolean;
  readonly schema: boolean;
}

/**
 * Chooses the pages of the server of the apis, or of the one on `adminPort`. With `adminPort` all pages move there but
 * `/schema.json`, which both have: clients of the apis read it.
 */
export function choosePages({ http, adminPort }: ServerSettings, isAdmin: boolean): Pages {
  const { metrics, docs, openapi, schema } = http;
  const isHere = isAdmin || adminPort === undefined;
  return {
    probes: isHere,
    metrics: isHere && metrics,
    docs: isHere && docs && openapi,
    openapi: isHere && openapi,
    schema,
  };
}

/** Answers for the probes. None of them may wait for a call. */
export interface Probes {
  readonly readiness: () => Promise<Readiness>;
  readonly metrics: () => Promise<MetricsPage>;
}

const paths: readonly string[] = ["/livez", "/healthz", "/readyz", "/metrics"];

/** Lists the paths of the probes that a server with these pages has. */
export const listProbes = (pages: Pages): readonly string[] =>
  paths.filter((path) => (path === "/metrics" ? pages.metrics : pages.probes));

/** True when a request is for a probe. Probes are always answered. */
export const isProbe = (url = ""): boolean => paths.includes(url.split("?", 1)[0] as string);

/** Adds `/livez`, `/healthz`, `/readyz` and `/metrics`. They also answer while the server drains. */
export function addProbes(http: HttpState, fastify: FastifyInstance, probes: Probes & { pages: Pages }): void {
  const { pages } = probes;
  if (pages.metrics) {
    fastify.get("/metrics", async (_, reply) => {
      const { contentType, body } = await probes.metrics();
      return reply.header("content-type", contentType).send(body);
    });
  }
  if (!pages.probes) return;
  const live = (_: unknown, reply: FastifyReply) => void reply.send({ status: "live" });
  fastify.get("/livez", live);
  fastify.get("/healthz", live);
  fastify.get("/readyz", async (_, reply) => {
    const { isReady, isDraining, services } = await readReadiness(http, probes);
    const status = http.isClosing || isDraining ? "draining" : isReady ? "ready" : "not ready";
    return reply.code(status === "ready" ? 200 : 503).send({ status, services });
  });
}

async function readReadiness(http: HttpState, { readiness }: Probes): Promise<Readiness> {
  try {
    return await readiness();
  } catch (error) {
    http.log.error({ error: String(error) }, "readiness could not be determined");
    return { isReady: false, services: [] };
  }
}
