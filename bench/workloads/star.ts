// One entry over N - 1 services that do almost nothing; each may get a group.   N=50 GROUP_COUNT=5
import { api, depends, Service } from "ekiben";
import { z } from "zod";

const Message = z.object({ text: z.string() });
const leaves = Number(process.env["N"] ?? 50) - 1;
const groups = Number(process.env["GROUP_COUNT"] ?? 0);
const groupOf = (position: number) => (groups === 0 ? "none" : `g${position % groups}`);

const services = Array.from({ length: leaves }, (_, position) => {
  class Leaf extends Service({ name: `L${position}`, group: groupOf(position) }) {
    run = api({ input: Message, output: Message }, (message) => message);
  }
  return Leaf;
});

interface Called {
  run(message: { text: string }): Promise<{ text: string }>;
}

export class Centre extends Service({ group: groupOf(leaves) }) {
  readonly [field: `leaf${number}`]: Called;

  constructor() {
    super();
    services.forEach((Leaf, position) => {
      Object.assign(this, { [`leaf${position}`]: depends(Leaf) });
    });
  }

  run = api({ input: Message, output: Message }, (message) => (this.leaf0 as Called).run(message));
}
