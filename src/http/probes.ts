import type { FastifyInstance, FastifyReply } from "fastify";
import type { MetricsPage } from "../observe/metrics.js";
import type { Readiness } from "../observe/readiness.js";
import type { HttpState } from "./http-state.js";

/** Answers for the probes. None of them may wait for a call. */
export interface Probes {
  readonly readiness: () => Promise<Readiness>;
  readonly metrics: () => Promise<MetricsPage>;
}

const paths: readonly string[] = ["/livez", "/healthz", "/readyz", "/metrics"];

/** True when a request is for a probe. Probes are always answered. */
export const isProbe = (url = ""): boolean => paths.includes(url.split("?", 1)[0] as string);

/** Adds `/livez`, `/healthz`, `/readyz` and `/metrics`. They also answer while the server drains. */
export function addProbes(http: HttpState, fastify: FastifyInstance, probes: Probes): void {
  const live = (_: unknown, reply: FastifyReply) => void reply.send({ status: "live" });
  fastify.get("/livez", live);
  fastify.get("/healthz", live);
  fastify.get("/readyz", async (_, reply) => {
    const { isReady, isDraining, services } = await readReadiness(http, probes);
    const status = http.isClosing || isDraining ? "draining" : isReady ? "ready" : "not ready";
    return reply.code(status === "ready" ? 200 : 503).send({ status, services });
  });
  fastify.get("/metrics", async (_, reply) => {
    const { contentType, body } = await probes.metrics();
    return reply.header("content-type", contentType).send(body);
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
