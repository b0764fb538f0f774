import { toFault } from "../define/describe-service.js";
import { fail } from "../failure/fail.js";
import type { GraphFault } from "../failure/failures.js";
import type { AppSettings, ServiceSettings } from "../options/settings.js";

/** What is wrong with groups, and what is not acted on. */
export interface GroupProblems {
  readonly faults: readonly GraphFault[];
  readonly warnings: readonly GraphFault[];
}

interface Member {
  readonly name: string;
  readonly settings: ServiceSettings;
}

/** Looks whether what services of one group ask for can be had in one process. */
export function findGroupProblems({ services }: AppSettings): GroupProblems {
  const faults: GraphFault[] = [];
  const warnings: GraphFault[] = [];
  const groups = new Map<string, Member[]>();
  for (const [name, settings] of services) {
    const { group, placement } = settings;
    if (group === "none") continue;
    if (placement === "process") groups.set(group, [...(groups.get(group) ?? []), { name, settings }]);
    else warnings.push(toFault(name, "group", fail("group_not_shared", { service: name, group, placement })));
  }
  for (const [group, members] of groups) {
    faults.push(...findDeviceFaults(group, members), ...findEnvironmentFaults(group, members));
    warnings.push(...findBoundWarnings(group, members));
  }
  return { faults, warnings };
}

/** The process sees the devices of one of them: those of two would have each other's as their first. */
function findDeviceFaults(group: string, members: readonly Member[]): GraphFault[] {
  const [first, ...others] = members.filter(({ settings }) => settings.resources.gpu > 0);
  return others.map(({ name }) =>
    toFault(name, "resources.gpu", fail("group_devices_differ", { group, services: [first?.name ?? "", name] })),
  );
}

function findEnvironmentFaults(group: string, members: readonly Member[]): GraphFault[] {
  const faults: GraphFault[] = [];
  const owners = new Map<string, { readonly name: string; readonly value: string }>();
  for (const { name, settings } of members) {
    for (const [variable, value] of Object.entries(settings.env)) {
      const owner = owners.get(variable);
      if (owner === undefined) owners.set(variable, { name, value });
      else if (owner.value !== value) {
        const details = { group, variable, services: [owner.name, name] };
        faults.push(toFault(name, `env.${variable}`, fail("group_env_differs", details)));
      }
    }
  }
  return faults;
}

/** Memory is that of a process: a bound of some is none for all. */
function findBoundWarnings(group: string, members: readonly Member[]): GraphFault[] {
  const isBound = ({ settings }: Member) => Number.isFinite(settings.resources.memoryBytes);
  const unbound = members.filter((member) => !isBound(member)).map(({ name }) => name);
  if (unbound.length === 0) return [];
  return members
    .filter(isBound)
    .map(({ name }) =>
      toFault(name, "resources.memory", fail("group_memory_unbound", { service: name, group, unbound })),
    );
}
