import type { Logger } from "../../base/logger.js";
import type { CallTime } from "../../call/call-scope.js";
import { judgeContract } from "../../contract/compare-contracts.js";
import { type ContractForm, contractDigest, contractForm } from "../../contract/contract-form.js";
import { readContractForm } from "../../contract/read-contract-form.js";
import type { ServiceDescriptor } from "../../define/descriptor.js";
import { fail } from "../../failure/failures.js";
import type { ServingError } from "../../failure/serving-error.js";
import type { Graph } from "../../graph/graph.js";
import type { Directory } from "../../handle/directory.js";
import type { CallStats } from "../../observe/call-stats.js";
import type { Obstacle, ServiceReadiness } from "../../observe/readiness.js";
import { formatAddress } from "../../options/address-types.js";
import type { AppSettings, ServiceSettings } from "../../options/settings.js";
import type { EdgeSecurity } from "../../transport/edge-security.js";
import type { Faults } from "../faults.js";
import { resolveNames } from "./open-socket.js";
import { RemoteService, type RemoteServiceDeps } from "./remote-service.js";

/** Surroundings of the links in their thread or process. */
interface RemoteLinksDeps {
  readonly settings: AppSettings;
  readonly graph: Graph;
  readonly directory: Directory;
  readonly stats: CallStats;
  readonly time: CallTime;
  readonly log: Logger;
  /** Unique to this thread or process. */
  readonly life: string;
  readonly edgeSecurity: EdgeSecurity;
}

/** Links of one thread to services that run elsewhere. */
export class RemoteLinks {
  readonly #own: RemoteLinksDeps;
  readonly #deps: RemoteServiceDeps;
  readonly #services = new Map<string, RemoteService>();

  /** @param faults Faults that calls from here meet in a test. */
  constructor(own: RemoteLinksDeps, faults: Faults | undefined) {
    const { settings, time, log, life, edgeSecurity } = own;
    const { zone, remote } = settings.server;
    const { clock } = time;
    this.#own = own;
    this.#deps = {
      security: edgeSecurity,
      ...{ clock, log, zone, ...remote, random: Math.random, resolve: resolveNames },
      caller: life.slice(0, 16),
      wrap: (link, service) => faults?.wrap(link, service) ?? link,
    };
  }

  /** Opens links to services. @throws {ServingError} `edge_file_unusable`. */
  open(services: readonly string[]): void {
    const isSecure = services.some((service) => this.#settingsOf(service).at.some(({ scheme }) => scheme !== "tcp"));
    if (isSecure) this.#own.edgeSecurity.load();
    for (const service of services) {
      if (!this.#services.has(service)) this.#services.set(service, this.#create(service));
    }
  }

  /** Resolves when each of these services was reached or tried once. Default: all. */
  async settled(services?: readonly string[]): Promise<void> {
    const own = [...this.#services.values()].filter(({ service }) => services?.includes(service) !== false);
    await Promise.all(own.map(({ tried }) => tried));
  }

  /** Readiness of each service, as this thread sees it. */
  get readiness(): ServiceReadiness[] {
    return [...this.#services.values()].map(({ service, addresses, isReady, readyLinks, announced, obstacle }) => ({
      name: service,
      isReady,
      readyReplicas: readyLinks,
      replicas: Math.max(announced, readyLinks, 1),
      detail: obstacle ?? `runs at ${addresses.join(", ")}`,
    }));
  }

  /** Services that can't be called from here. */
  get obstacles(): Obstacle[] {
    return [...this.#services.values()].flatMap(({ service, obstacle }) =>
      obstacle === undefined ? [] : [{ service, problem: obstacle }],
    );
  }

  close(): void {
    for (const service of this.#services.values()) service.close();
  }

  #create(service: string): RemoteService {
    const { directory, stats, graph, log } = this.#own;
    const { at, liveness } = this.#settingsOf(service);
    const links = directory.of(service);
    links.isRemote = true;
    const form = contractForm(graph.services.get(service) as ServiceDescriptor);
    const judge = createContractJudge({ ours: form, address: at.map(formatAddress).join(", "), log });
    const contract = { service, digest: contractDigest(form), form, judge };
    return new RemoteService({ addresses: at, liveness, contract, links, figures: stats.remote(service) }, this.#deps);
  }

  #settingsOf(service: string): ServiceSettings {
    return this.#own.settings.services.get(service) as ServiceSettings;
  }
}

/** Contracts of one service whose verdicts are kept. More are there only while something is wrong. */
const maxKept = 64;

/** Differences that a failure carries. */
const maxChanges = 20;

interface JudgeDeps {
  readonly ours: ContractForm;
  /** Addresses of the service, for messages. */
  readonly address: string;
  readonly log: Logger;
}

/**
 * Makes the function that decides whether this app can call a service with another contract. It judges and logs each
 * contract once.
 *
 * @throws {ServingError} from that function: `invalid_contract_form`.
 */
function createContractJudge({ ours, address, log }: JudgeDeps): (theirs: object) => ServingError | undefined {
  const verdicts = new Map<string, ServingError | undefined>();
  return (theirs) => {
    const form = readContractForm(theirs);
    const digest = contractDigest(form);
    if (verdicts.has(digest)) return verdicts.get(digest);
    const verdict = judge(ours, form, address);
    if (verdicts.size >= maxKept) verdicts.clear();
    verdicts.set(digest, verdict);
    const { service } = ours;
    if (verdict === undefined) {
      const fields = { service, address, contract: digest, own: contractDigest(ours) };
      log.info(fields, `${service} was built with another contract, which this app can live with`);
    }
    return verdict;
  };
}

function judge(ours: ContractForm, theirs: ContractForm, address: string): ServingError | undefined {
  const { service } = ours;
  const breaking = judgeContract(ours, theirs).slice(0, maxChanges);
  if (breaking.length === 0) return undefined;
  const changes = breaking.map(({ api, field, from, to }) => ({ api, field, theirs: to, ours: from }));
  return fail("contract_differs", { service, address, changes }, { service });
}
