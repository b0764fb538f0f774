/** A thread or process as a place for replicas. */
export interface SharedHome {
  /** Whether another replica may come to live there. */
  readonly isOpen: boolean;
  /** Whether a replica of this id lives there. */
  has(id: string): boolean;
  /** Another one takes its place: what lives there is to move. */
  supersede(): void;
}

/**
 * The processes of groups. Replica `i` of each service of a group lives in process `i`.
 *
 * One that has ended is brought up once, by whichever replica comes first. One in which a replica of that name lives already is
 * superseded: that replica is to be replaced, since no two places have one number, and all that live there move to the same
 * other one.
 */
export class SharedHomes<Home extends SharedHome> {
  /** The newest, by number and group. */
  readonly #homes = new Map<string, Home>();

  take(group: string, replica: { readonly id: string; readonly index: number }, create: () => Home): Home {
    const key = `${replica.index}/${group}`;
    const newest = this.#homes.get(key);
    if (newest?.isOpen === true) {
      if (!newest.has(replica.id)) return newest;
      newest.supersede();
    }
    const home = create();
    this.#homes.set(key, home);
    return home;
  }
}
