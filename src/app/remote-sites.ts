import { randomBytes } from "node:crypto";
import { dirname } from "node:path";
import type { DeploymentPlan } from "../graph/plan.js";
import { type ProcessShare, shareProcess } from "../graph/share-process.js";
import type { EntryLocation } from "../load/entry-location.js";
import type { AppSettings } from "../options/settings.js";
import type { AppAnswers } from "../placement/control.js";
import { ReplicaProcess } from "../placement/process.js";
import { RemoteSite, type Runner } from "../placement/remote-site.js";
import { ReplicaThread } from "../placement/thread.js";
import { grantThreads, type Site } from "../runtime/site.js";
import type { AppFolders } from "./app-folders.js";
import type { HostLives } from "./host-lives.js";
import { joinEnvironment } from "./join-environment.js";
import { type SharedHome, SharedHomes } from "./shared-homes.js";

/** What all threads and processes of an app have in common. */
export interface RemoteSitesParts {
  /** The app's own. */
  readonly site: Site;
  readonly lives: HostLives;
  readonly folders: AppFolders;
  /** Where they find the author's code. */
  readonly entry: EntryLocation;
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

/** The threads and processes of an app, each for one replica or for those of a group. */
export class RemoteSites {
  readonly #parts: RemoteSitesParts;
  readonly #shared = new SharedHomes<Home>();

  constructor(parts: RemoteSitesParts) {
    this.#parts = parts;
  }

  /** Where a replica is to live. @param address Its socket. */
  take(plan: DeploymentPlan, index: number, address: string): Home {
    const { group, descriptor } = plan;
    const id = `${descriptor.name}#${index}`;
    const create = () => this.#create(plan, index, dirname(address));
    const home = group === undefined ? create() : this.#shared.take(group.name, { id, index }, create);
    home.addresses.set(id, address);
    return home;
  }

  #create(plan: DeploymentPlan, index: number, socketFolder: string): Home {
    const { settings, folders, lives, site: own, entry, ...common } = this.#parts;
    const { group, descriptor } = plan;
    const residence = plan.residence === "thread" ? "thread" : "process";
    const share = this.#shareOf(plan, index);
    const addresses = new Map<string, string>();
    const { name: service } = descriptor;
    const site: RemoteSite = new RemoteSite(() => this.#createRunner(plan, index, share), {
      residence,
      order: {
        names:
          group === undefined ? { service, replica: `${service}#${index}` } : { group: group.name, process: index },
        services: share.members,
        keptServices: group?.kept ?? [],
        life: randomBytes(16).toString("hex"),
        endedLives: lives.ended,
        run: own.run,
        ...{ entry, settings, socketFolder, slabFolder: folders.slabs, diskFolder: folders.disk },
        ...{ appFolder: common.appFolder, appFile: common.appFile },
        ...{ logsTo: common.logsTo, sharesStdout: common.sharesStdout, takesFaults: common.takesFaults },
      },
      clock: own.time.clock,
      log: own.log,
      answer: common.answer,
      onExit: (pid) => {
        folders.clearAfter({ addresses: [...addresses.values()], pid, life: site.life });
        lives.end(site);
      },
    });
    lives.add(site);
    return new Home(site, addresses, residence === "process" ? share.memoryBytes : Number.POSITIVE_INFINITY);
  }

  #shareOf({ group, descriptor, settings }: DeploymentPlan, index: number): ProcessShare {
    if (group !== undefined) return shareProcess(group, this.#parts.settings, index);
    const { memoryBytes, cpu } = settings.resources;
    return { members: [descriptor.name], memoryBytes, cpu };
  }

  #createRunner(plan: DeploymentPlan, index: number, share: ProcessShare): Runner {
    const { outsideEnv, devices } = this.#parts;
    const heapMiB = boundHeap(share.memoryBytes);
    const env = joinEnvironment(plan, outsideEnv, grantThreads(share.cpu));
    const name = `${plan.descriptor.name}#${index}`;
    if (plan.residence === "thread") return new ReplicaThread({ name, env, heapMiB });
    const own = share.members.flatMap((member) => devices.get(member)?.[index] ?? []);
    return new ReplicaProcess({ env, heapMiB, devices: own });
  }
}

/** A place for replicas. */
class Home implements SharedHome {
  readonly site: RemoteSite;
  /** By replica, the sockets to clear away when it has ended. */
  readonly addresses: Map<string, string>;
  /** See `ReplicaHost`. */
  readonly memoryBytes: number;

  constructor(site: RemoteSite, addresses: Map<string, string>, memoryBytes: number) {
    this.site = site;
    this.addresses = addresses;
    this.memoryBytes = memoryBytes;
  }

  get isOpen(): boolean {
    return this.site.isOpen;
  }

  has(id: string): boolean {
    return this.site.has(id);
  }

  supersede(): void {
    this.site.isSuperseded = true;
  }
}

/** The share of a replica's memory that JavaScript objects may take; models and tensors live outside of the heap. */
const heapShare = 0.75;

const boundHeap = (memoryBytes: number): number | undefined =>
  Number.isFinite(memoryBytes) ? Math.max(16, Math.floor((memoryBytes / 1024 ** 2) * heapShare)) : undefined;
