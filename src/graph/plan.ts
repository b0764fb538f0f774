import type { ServiceDescriptor } from "../define/descriptor.js";
import type { AppSettings, ServiceSettings } from "../options/settings.js";
import type { Graph } from "./graph.js";

/** What should run: one deployment a service, callees first. */
export interface Plan {
  readonly graph: Graph;
  readonly settings: AppSettings;
  readonly deployments: readonly DeploymentPlan[];
  /** Environment variables that services ask for; one process holds them all. */
  readonly env: ReadonlyMap<string, string>;
  /** What an author asked for and gets in another way, in words. */
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
  const deployments = [...graph.services.values()].map((descriptor): DeploymentPlan => {
    const own = settings.services.get(descriptor.name) as ServiceSettings;
    const callees = graph.edges.filter((edge) => edge.from === descriptor.name).map((edge) => edge.to);
    return {
      descriptor,
      settings: own,
      callees: [...new Set(callees)],
      placement: "inline",
      replicas: own.replicas.min,
    };
  });
  const { env, clashes } = joinEnvironments(deployments);
  return { graph, settings, deployments, env, notices: [...deployments.flatMap(describeChanges), ...clashes] };
}

/** What of a service's declaration this version does not act on; nobody should have to find out under load. */
function describeChanges({ descriptor, settings }: DeploymentPlan): string[] {
  const { name } = descriptor;
  const { placement, replicas, resources } = settings;
  const notices: string[] = [];
  if (placement !== "inline") {
    notices.push(`${name} asks for placement ${placement}; this version runs every service inline, in one process`);
  }
  if (replicas.max !== replicas.min) {
    notices.push(`${name} asks for ${replicas.min} to ${replicas.max} replicas; this version runs ${replicas.min}`);
  }
  if (resources.gpu > 0) {
    notices.push(
      `${name} asks for ${resources.gpu} gpu; this version hands out no devices (ctx.resources.gpus is empty)`,
    );
  }
  return notices;
}

function joinEnvironments(deployments: readonly DeploymentPlan[]) {
  const env = new Map<string, string>();
  const owners = new Map<string, string>();
  const clashes: string[] = [];
  for (const { descriptor, settings } of deployments) {
    for (const [variable, value] of Object.entries(settings.env)) {
      const owner = owners.get(variable);
      if (owner === undefined) {
        owners.set(variable, descriptor.name);
        env.set(variable, value);
      } else if (env.get(variable) !== value) {
        clashes.push(
          `${owner} and ${descriptor.name} set ${variable} to different values; in one process ${owner}'s holds`,
        );
      }
    }
  }
  return { env, clashes };
}
