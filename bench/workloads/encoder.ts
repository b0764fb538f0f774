// The sentence encoder of the examples as a service, batched and not.
import { SentenceEncoder, sentenceDimensions } from "@ekiben/example-models/sentence-encoder";
import { api, Service, type StartContext, Tensor, tensor } from "ekiben";
import { z } from "zod";

export class Encoder extends Service() {
  #encoder!: SentenceEncoder;

  override async start({ resources }: StartContext) {
    this.#encoder = await SentenceEncoder.load(resources.cpuThreads);
  }

  override stop() {
    this.#encoder?.dispose();
  }

  embed = api(
    { input: z.array(z.string()), output: tensor("float32", ["n", sentenceDimensions]), batch: { maxRows: 32 } },
    (rows) => this.#encode(rows),
  );
  embedOne = api({ input: z.string(), output: tensor("float32", ["n", sentenceDimensions]) }, (row) =>
    this.#encode([row]),
  );

  async #encode(rows: readonly string[]) {
    return new Tensor("float32", [rows.length, sentenceDimensions], await this.#encoder.encodeRows(rows));
  }
}
