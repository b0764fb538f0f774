// Four services in a row: A calls B, B calls C, C calls D.
import { api, depends, Service } from "ekiben";
import { z } from "zod";

const Message = z.object({ text: z.string() });

export class D extends Service() {
  run = api({ input: Message, output: Message }, (message) => message);
}

class C extends Service() {
  next = depends(D);

  run = api({ input: Message, output: Message }, (message) => this.next.run(message));
}

class B extends Service() {
  next = depends(C);

  run = api({ input: Message, output: Message }, (message) => this.next.run(message));
}

export class A extends Service() {
  next = depends(B);

  run = api({ input: Message, output: Message }, (message) => this.next.run(message));
}
