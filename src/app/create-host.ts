import { randomBytes } from "node:crypto";
import type { GrantedResources } from "../define/lifecycle.js";
import type { DeploymentPlan } from "../graph/plan.js";
import type { FileStore } from "../held/file-store.js";
import type { EntryLocation } from "../load/entry-location.js";
import type { AppSettings, ServiceSettings } from "../options/settings.js";
import type { AppAnswers } from "../placement/control.js";
import { InlineHost } from "../placement/inline.js";
import type { ReplicaHost } from "../placement/placement.js";
import { ReplicaProcess } from "../placement/process.js";
import { RemoteHost } from "../placement/remote-host.js";
import { ReplicaThread } from "../placement/thread.js";
import { grantResources, type Site } from "../site/site.js";
import type { AppFolders } from "./app-folders.js";
import type { HostLives } from "./host-lives.js";

/** What hosts of an app have in common. */
export interface HostParts {
  /** The app's own. */
  readonly site: Site;
  readonly lives: HostLives;
  /** Absent where every replica lives in the app's own thread. */
  readonly folders: AppFolders | undefined;
  /** What this thread keeps of the largest values. */
  readonly files: FileStore;
  /** Where replicas elsewhere find the author's code. */
  readonly entry: EntryLocation | undefined;
  readonly settings: AppSettings;
  readonly devices: ReadonlyMap<string, readonly (readonly number[])[]>;
  readonly logsTo: "stdout" | "supervisor";
  readonly sharesStdout: boolean;
  readonly appFile: string | undefined;
  readonly appFolder: string;
  readonly takesFaults: boolean;
  /** The environment the app was started with. */
  readonly outsideEnv: NodeJS.ProcessEnv;
  readonly answer: <What extends keyof AppAnswers>(what: What) => Promise<AppAnswers[What]>;
}

/** Makes the host of one replica where the plan says. */
export function createHost(plan: DeploymentPlan, index: number, parts: HostParts): ReplicaHost {
  const { site, folders, devices } = parts;
  const service = plan.descriptor.name;
  const resources = grantResources(plan.settings, devices.get(service)?.[index] ?? []);
  if (plan.residence === "root" || folders === undefined || parts.entry === undefined) {
    return new InlineHost(
      site.partsOf({ service, index, resources }),
      folders?.nextAddress(),
      folders?.slabs,
      parts.files,
    );
  }
  return createRemoteHost(plan, index, { ...parts, folders, entry: parts.entry, resources });
}

interface RemoteParts extends HostParts {
  readonly folders: AppFolders;
  readonly entry: EntryLocation;
  readonly resources: GrantedResources;
}

function createRemoteHost(plan: DeploymentPlan, index: number, parts: RemoteParts): RemoteHost {
  const { site, folders, entry, resources, settings, logsTo, lives } = parts;
  const { companions, descriptor, residence } = plan;
  const service = descriptor.name;
  const id = `${service}#${index}`;
  const address = folders.nextAddress();
  const life = randomBytes(16).toString("hex");
  const own = (name: string) => settings.services.get(name) as ServiceSettings;
  const heapMiB = boundHeap(plan.settings.resources.memoryBytes);
  const env = joinEnvironment(plan, parts.outsideEnv, resources);
  const createRunner = () =>
    residence === "thread"
      ? new ReplicaThread({ name: id, env, heapMiB })
      : new ReplicaProcess({ env, heapMiB, devices: resources.gpus });
  const host: RemoteHost = new RemoteHost(createRunner, {
    order: {
      id,
      index,
      life,
      endedLives: lives.ended,
      run: site.run,
      service,
      companions,
      entry,
      settings,
      appFolder: parts.appFolder,
      resources,
      companionResources: new Map(companions.map((name) => [name, grantResources(own(name), [])])),
      address,
      slabFolder: folders.slabs,
      diskFolder: folders.disk,
      logsTo,
      sharesStdout: parts.sharesStdout,
      appFile: parts.appFile,
      takesFaults: parts.takesFaults,
    },
    startTimeoutMs: plan.settings.startTimeoutMs,
    drainTimeoutMs: settings.server.drainTimeoutMs,
    clock: site.time.clock,
    log: site.log,
    answer: parts.answer,
    onExit: (pid) => {
      folders.clearAfter({ address, pid, life });
      lives.end(host, life);
    },
  });
  lives.add(host);
  return host;
}

/** The share of a replica's memory that JavaScript objects may take; models and tensors live outside of the heap. */
const heapShare = 0.75;

const boundHeap = (memoryBytes: number): number | undefined =>
  Number.isFinite(memoryBytes) ? Math.max(16, Math.floor((memoryBytes / 1024 ** 2) * heapShare)) : undefined;

/** How model runtimes learn how many threads are theirs. */
const threadVariables = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"];

/**
 * The environment of a replica: what it is granted, what its services ask for, and, with the last word, what the app itself was
 * started with. That is not `process.env`, to which the services in the app's own process have added theirs.
 */
export function joinEnvironment(
  { env, residence }: Pick<DeploymentPlan, "env" | "residence">,
  outside: NodeJS.ProcessEnv,
  { cpuThreads }: GrantedResources,
): NodeJS.ProcessEnv {
  // Runtimes read these from the process, so those of a thread would say nothing.
  const threads = residence === "thread" ? [] : threadVariables.map((name) => [name, String(cpuThreads)] as const);
  return { ...Object.fromEntries([...threads, ...env]), ...outside };
}
