/** What services of this process did, in order, and whoever waits for it: one test at a time. */
export class Journal {
  /** A test that begins anew empties it. */
  told: string[] = [];
  #listener = (): void => {};

  tell(what: string): void {
    this.told.push(what);
    this.#listener();
  }

  /** Resolves once it was told, at once if it was before. */
  until(what: string): Promise<void> {
    return new Promise((resolve) => {
      this.#listener = () => this.told.includes(what) && resolve();
      this.#listener();
    });
  }
}
