/** Records what the services of this process did, in order, and waits for entries. Used by one test at a time. */
export class Journal {
  /** Clears the journal at the start of a test. */
  told: string[] = [];
  #listener = (): void => {};

  tell(what: string): void {
    this.told.push(what);
    this.#listener();
  }

  /** Resolves when the event is recorded; at once if it was recorded before. */
  until(what: string): Promise<void> {
    return new Promise((resolve) => {
      this.#listener = () => this.told.includes(what) && resolve();
      this.#listener();
    });
  }
}
