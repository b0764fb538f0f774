import type { ServiceDescriptor } from "../define/descriptor.js";
import type { AppSettings, ServiceSettings } from "../options/settings.js";
import type { Graph } from "./graph.js";

/** What should run: one deployment a service, callees first. */
export interface Plan {
  readonly graph: Graph;
  readonly settings: AppSettings;
  readonly deployments: readonly DeploymentPlan[];
  /** What the author asked for and gets in another way, in words. */
  readonly notices: readonly string[];
}

export interface DeploymentPlan {
  readonly descriptor: ServiceDescriptor;
  readonly settings: ServiceSettings;
  /** Names of the services it calls, each once. */
  readonly callees: readonly string[];
  readonly placement: "inline";
  readonly replicas: number;
}

/** Decides what runs where. */
export function createPlan(graph: Graph, settings: AppSettings): Plan {
  const notices: string[] = [];
  const deployments = [...graph.services.values()].map((descriptor): DeploymentPlan => {
    const own = settings.services.get(descriptor.name) as ServiceSettings;
    if (own.placement !== "inline") {
      notices.push(`${descriptor.name} asks for placement ${own.placement}; this version runs every service inline`);
    }
    const callees = graph.edges.filter((edge) => edge.from === descriptor.name).map((edge) => edge.to);
    return {
      descriptor,
      settings: own,
      callees: [...new Set(callees)],
      placement: "inline",
      replicas: own.replicas.min,
    };
  });
  return { graph, settings, deployments, notices };
}
