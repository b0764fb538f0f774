import { randomUUID } from "node:crypto";
import { api, currentCall, Service, type StartContext } from "ekiben";
import { z } from "zod";

const who = z.object({ id: z.string(), index: z.number(), instance: z.string() });

/** Service with two replicas that report which of them answers. */
export class Pair extends Service({ replicas: 2 }) {
  #who = { id: "", index: -1, instance: "" };

  override start({ replica: { id, index } }: StartContext): void {
    this.#who = { id, index, instance: randomUUID() };
  }

  who = api({ output: who }, () => this.#who);
  /** Reports its replica and keeps it busy until the reader leaves. */
  occupy = api({ yields: who }, () => this.#occupy());

  async *#occupy() {
    const { signal } = currentCall();
    yield this.#who;
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
  }
}
