// Entry of the thread that loads the bundles of a new build   <-> build/build-app.ts
import { parentPort, workerData } from "node:worker_threads";
import { contractDigest, contractForm } from "../contract/contract-form.js";
import type { ServiceDescriptor } from "../define/descriptor.js";
import type { GraphFault } from "../failure/failures.js";
import { textOf } from "../failure/read-thrown.js";
import { resolveGraph } from "../graph/graph.js";
import { loadEntry } from "../load/entry-location.js";

/** One bundle to load. */
interface VerifyWish {
  readonly service: string;
  readonly file: string;
}

/** @returns The digest of the contract that the bundle has, or a text that describes the problem. */
async function verify({ service, file }: VerifyWish): Promise<object> {
  try {
    const graph = resolveGraph(await loadEntry({ file, service, earlier: [] }));
    return { service, digest: contractDigest(contractForm(graph.services.get(service) as ServiceDescriptor)) };
  } catch (error) {
    const { details } = error as { readonly details?: { readonly faults?: readonly GraphFault[] } };
    return {
      service,
      problem: details?.faults?.[0]?.message ?? textOf((error as Error | undefined)?.message ?? error),
    };
  }
}

const results: object[] = [];
for (const wish of workerData as readonly VerifyWish[]) results.push(await verify(wish));
parentPort?.postMessage(results);
