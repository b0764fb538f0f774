// Five services that do almost nothing: one calls four at once.
import { api, depends, Service } from "ekiben";
import { z } from "zod";

const Message = z.object({ text: z.string() });

export class North extends Service() {
  run = api({ input: Message, output: Message }, (message) => message);
}

export class East extends Service() {
  run = api({ input: Message, output: Message }, (message) => message);
}

export class South extends Service() {
  run = api({ input: Message, output: Message }, (message) => message);
}

export class West extends Service() {
  run = api({ input: Message, output: Message }, (message) => message);
}

export class Centre extends Service() {
  north = depends(North);
  east = depends(East);
  south = depends(South);
  west = depends(West);

  run = api({ input: Message, output: z.array(Message) }, (message) =>
    Promise.all([this.north.run(message), this.east.run(message), this.south.run(message), this.west.run(message)]),
  );
}
