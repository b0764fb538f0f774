import type { RemoteHost } from "../placement/remote-host.js";
import type { Site } from "../site/site.js";

/**
 * Which threads and processes of an app live. When one has ended, all others hear of it, those that are just starting too, so
 * that they take over the tasks it ran without waiting for its leases.
 */
export class HostLives {
  readonly #hosts = new Set<RemoteHost>();
  readonly #site: Site;

  /** @param site The app's own. */
  constructor(site: Site) {
    this.#site = site;
  }

  /** Lives that have ended. */
  get ended(): readonly string[] {
    return this.#site.endedLives.all;
  }

  add(host: RemoteHost): void {
    this.#hosts.add(host);
  }

  /** A thread or process is gone for certain: the system has said so. */
  end(host: RemoteHost, life: string): void {
    this.#hosts.delete(host);
    this.#site.endedLives.note(life);
    for (const other of this.#hosts) other.noteEnded(life);
  }
}
