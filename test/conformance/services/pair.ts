import { randomUUID } from "node:crypto";
import { api, currentCall, Service, type StartContext } from "ekiben";
import { z } from "zod";

const who = z.object({ id: z.string(), index: z.number(), instance: z.string() });

/** Two replicas that tell which of them answers. */
export class Pair extends Service({ replicas: 2 }) {
  #who = { id: "", index: -1, instance: "" };

  override start({ replica: { id, index } }: StartContext): void {
    this.#who = { id, index, instance: randomUUID() };
  }

  who = api({ output: who }, () => this.#who);
  /** Tells which replica it is, and keeps it busy until the reader goes. */
  occupy = api({ yields: who }, () => this.#occupy());

  async *#occupy() {
    const { signal } = currentCall();
    yield this.#who;
    await new Promise((resolve) => signal.addEventListener("abort", resolve));
  }
}
