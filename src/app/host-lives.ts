import type { RemoteSite } from "../placement/remote-site.js";
import type { Site } from "../runtime/site.js";

/**
 * Which threads and processes of an app live. When one has ended, all others hear of it, those that are just starting too, so
 * that they take over the tasks it ran without waiting for its leases.
 */
export class HostLives {
  readonly #living = new Set<RemoteSite>();
  readonly #site: Site;

  /** @param site The app's own. */
  constructor(site: Site) {
    this.#site = site;
  }

  /** Lives that have ended. */
  get ended(): readonly string[] {
    return this.#site.endedLives.all;
  }

  add(site: RemoteSite): void {
    this.#living.add(site);
  }

  /** A thread or process is gone for certain: the system has said so. */
  end(site: RemoteSite): void {
    this.#living.delete(site);
    this.#site.endedLives.note(site.life);
    for (const other of this.#living) other.noteEnded(site.life);
  }
}
