// W1: one hop that carries a text there and back.
import { api, depends, Service } from "ekiben";
import { z } from "zod";

const Message = z.object({ text: z.string() });

export class Echo extends Service() {
  echo = api({ input: Message, output: Message }, (message) => message);
}

export class Gateway extends Service() {
  backend = depends(Echo);

  run = api({ input: Message, output: Message }, (message) => this.backend.echo(message));
}
