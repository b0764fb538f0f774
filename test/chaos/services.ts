// Four services in a row, each in processes of its own. Each adds its mark, so that an answer shows its whole way.
import { setTimeout as sleep } from "node:timers/promises";
import { api, currentCall, depends, Service, type StartContext, Tensor, tensor } from "ekiben";
import { z } from "zod";

const Note = z.object({ text: z.string(), waitMs: z.number() });
const Count = z.object({ text: z.string(), items: z.number(), waitMs: z.number() });
const Item = z.object({ text: z.string(), index: z.number() });
const Values = tensor("float32", ["n"]);

/**
 * Writes the process id to a file, so that the storm knows which process it kills. A log line could be lost with a
 * killed process.
 */
const announce = ({ replica }: StartContext): void => console.error(`${replica.id} is process ${process.pid}`);

const addOne = ({ shape, data }: Tensor<"float32", readonly [number]>) =>
  new Tensor(
    "float32",
    shape,
    data.map((value) => value + 1),
  );

export class Last extends Service({ replicas: 2 }) {
  override start = announce;

  relay = api({ input: Note, output: Note, idempotent: true }, (note) => this.#answer(note));
  relayOnce = api({ input: Note, output: Note }, (note) => this.#answer(note));
  relayTensor = api({ input: Values, output: Values, idempotent: true }, addOne);

  count = api({ input: Count, yields: Item, idempotent: true }, async function* ({ text, items, waitMs }) {
    for (let index = 0; index < items; index++) {
      await sleep(waitMs, undefined, { signal: currentCall().signal });
      yield { text: `${text}4`, index };
    }
  });

  async #answer({ text, waitMs }: z.infer<typeof Note>) {
    await sleep(waitMs, undefined, { signal: currentCall().signal });
    return { text: `${text}4`, waitMs };
  }
}

export class Third extends Service({ replicas: 2 }) {
  override start = announce;
  next = depends(Last);

  relay = api({ input: Note, output: Note, idempotent: true }, (note) => this.next.relay(mark(note, "3")));
  relayOnce = api({ input: Note, output: Note }, (note) => this.next.relayOnce(mark(note, "3")));
  relayTensor = api({ input: Values, output: Values, idempotent: true }, async (values) =>
    addOne(await this.next.relayTensor(values)),
  );
  count = api({ input: Count, yields: Item, idempotent: true }, (input) => this.next.count(mark(input, "3")));
}

export class Second extends Service({ replicas: 2 }) {
  override start = announce;
  next = depends(Third);

  relay = api({ input: Note, output: Note, idempotent: true }, (note) => this.next.relay(mark(note, "2")));
  relayOnce = api({ input: Note, output: Note }, (note) => this.next.relayOnce(mark(note, "2")));
  relayTensor = api({ input: Values, output: Values, idempotent: true }, async (values) =>
    addOne(await this.next.relayTensor(values)),
  );
  count = api({ input: Count, yields: Item, idempotent: true }, (input) => this.next.count(mark(input, "2")));
}

export class Front extends Service({ replicas: 2 }) {
  override start = announce;
  next = depends(Second);

  relay = api({ input: Note, output: Note, idempotent: true }, (note) => this.next.relay(mark(note, "1")));
  relayOnce = api({ input: Note, output: Note }, (note) => this.next.relayOnce(mark(note, "1")));
  relayTensor = api({ input: Values, output: Values, idempotent: true }, async (values) =>
    addOne(await this.next.relayTensor(values)),
  );
  count = api({ input: Count, yields: Item, idempotent: true }, (input) => this.next.count(mark(input, "1")));
}

function mark<T extends { readonly text: string }>(value: T, sign: string): T {
  return { ...value, text: value.text + sign };
}
