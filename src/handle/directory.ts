import type { ReplicaLink } from "../call/link.js";

/** The links of one service, as they are now. */
export class ServiceLinks {
  readonly service: string;
  /** How many the plan wants, for messages. */
  planned = 0;
  /** Only ready replicas. Replaced as a whole, never changed in place. */
  links: readonly ReplicaLink[] = [];
  #turn = 0;

  constructor(service: string) {
    this.service = service;
  }

  /** Where the next search for a link begins. */
  nextTurn(): number {
    this.#turn = (this.#turn + 1) % Math.max(1, this.links.length);
    return this.#turn;
  }
}

/** Which links each service has now; written by the supervisor, read by handles. */
export class Directory {
  readonly #services = new Map<string, ServiceLinks>();

  /** The links of a service; the same object for as long as the app runs. */
  of(service: string): ServiceLinks {
    let links = this.#services.get(service);
    if (links === undefined) this.#services.set(service, (links = new ServiceLinks(service)));
    return links;
  }

  add(service: string, link: ReplicaLink): void {
    const entry = this.of(service);
    entry.links = [...entry.links, link];
  }

  remove(service: string, link: ReplicaLink): void {
    const entry = this.of(service);
    entry.links = entry.links.filter((other) => other !== link);
  }
}
