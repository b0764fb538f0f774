import { tmpdir } from "node:os";
import { planApp } from "../../src/app/plan-app.js";
import { type Logger, silentLogger } from "../../src/base/logger.js";
import type { CallTime } from "../../src/call/call-scope.js";
import type { ServiceClass } from "../../src/define/depends.js";
import { Replica } from "../../src/replica/replica.js";
import { Runtime } from "../../src/runtime/runtime.js";
import { stillTime } from "./open-call.js";

/** Starts one replica of a service that calls no other service. */
export async function startReplica(
  service: ServiceClass,
  { time = stillTime, log = silentLogger }: { readonly time?: CallTime; readonly log?: Logger } = {},
): Promise<Replica> {
  const appFile = { path: "test", value: { placement: "inline" as const } };
  const { graph, settings } = planApp(service, { flags: {}, env: {}, appFile });
  const site = new Runtime({ graph, settings, log, time, appFolder: tmpdir() });
  const resources = { cpuThreads: 1, memoryBytes: Number.POSITIVE_INFINITY, gpus: [] };
  const replica = new Replica(site.partsOf({ service: graph.entry, index: 0, resources }));
  await replica.start(new AbortController().signal);
  return replica;
}
