import type { DeploymentPlan } from "../graph/plan.js";
import type { FileStore } from "../held/file-store.js";
import type { AppSettings, ServiceSettings } from "../options/settings.js";
import type { ReplicaHost } from "../placement/placement.js";
import { RemoteHost } from "../placement/remote-host.js";
import { InlineHost } from "../runtime/inline.js";
import { grantResources, type Site } from "../runtime/site.js";
import type { AppFolders } from "./app-folders.js";
import type { RemoteSites } from "./remote-sites.js";

/** What hosts of an app have in common. */
export interface HostParts {
  /** The app's own. */
  readonly site: Site;
  readonly settings: AppSettings;
  readonly devices: ReadonlyMap<string, readonly (readonly number[])[]>;
  /** Absent, as is `sites`, where every replica lives in the app's own thread. */
  readonly folders: AppFolders | undefined;
  /** What this thread keeps of the largest values. */
  readonly files: FileStore;
  /** The threads and processes of the app. */
  readonly sites: RemoteSites | undefined;
}

/** Makes the host of one replica where the plan says. */
export function createHost(plan: DeploymentPlan, index: number, parts: HostParts): ReplicaHost {
  const { site, folders, sites, settings, devices } = parts;
  const { companions, remoteCallees } = plan;
  const service = plan.descriptor.name;
  const id = `${service}#${index}`;
  const resources = grantResources(plan.settings, devices.get(service)?.[index] ?? []);
  if (plan.residence === "root" || folders === undefined || sites === undefined) {
    const own = site.partsOf({ service, index, resources });
    return new InlineHost(own, folders?.nextAddress(), folders?.slabs, parts.files);
  }
  const address = folders.nextAddress();
  const { site: home, memoryBytes } = sites.take(plan, index, address);
  const resourcesOf = (name: string) => grantResources(settings.services.get(name) as ServiceSettings, []);
  return new RemoteHost(home, {
    order: {
      ...{ id, index, service, companions, resources, address },
      callees: remoteCallees,
      companionResources: new Map(companions.map((name) => [name, resourcesOf(name)])),
    },
    startTimeoutMs: plan.settings.startTimeoutMs,
    drainTimeoutMs: settings.server.drainTimeoutMs,
    memoryBytes,
    clock: site.time.clock,
    log: site.log,
  });
}
