// A chain of N services, of which the first is the entry: S1 calls S2, and so on.   N=16
import { api, depends, Service } from "ekiben";
import { z } from "zod";

const Message = z.object({ text: z.string() });
const length = Number(process.env["N"] ?? 16);

class Last extends Service({ name: `S${length}` }) {
  run = api({ input: Message, output: Message }, (message) => message);
}

function createCaller(Next: typeof Last, position: number): typeof Last {
  class Link extends Service({ name: `S${position}` }) {
    next = depends(Next);

    run = api({ input: Message, output: Message }, (message) => this.next.run(message));
  }
  return Link as unknown as typeof Last;
}

let First = Last;
for (let position = length - 1; position >= 1; position--) First = createCaller(First, position);

export { First };
