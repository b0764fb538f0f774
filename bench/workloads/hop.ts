// One hop, called from inside an api, because calls between services are made there.
import { api, depends, Service, Tensor, tensor } from "ekiben";
import { z } from "zod";
import { type CallFigures, driveLoops } from "../closed-loops.ts";
import { createPicture, pictureShape } from "./maths.ts";

const Message = z.object({ text: z.string() });
const Picture = { text: z.string(), picture: tensor("float32", pictureShape) };

export const messages = {
  small: { text: "hello" },
  picture: { text: "hello", picture: new Tensor("float32", pictureShape, createPicture(1)) },
} as const;

class Echo extends Service() {
  small = api({ input: Message, output: Message }, (message) => message);

  picture = api({ input: Picture, output: Picture }, (message) => message);
}

/** Value of a round of calls: a plain object. */
const Round = z.object({ message: z.enum(["small", "picture"]), loops: z.int(), seconds: z.number() });
const Figures = z.object({ p50: z.number(), p99: z.number(), perSecond: z.number(), cpu: z.number() });

export class Caller extends Service({ placement: "inline" }) {
  echo = depends(Echo);

  drive = api({ input: Round, output: Figures }, ({ message, loops, seconds }): Promise<CallFigures> => {
    const call =
      message === "small" ? () => this.echo.small(messages.small) : () => this.echo.picture(messages.picture);
    return driveLoops(call, loops, seconds);
  });
}
