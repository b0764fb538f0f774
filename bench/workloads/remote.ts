// One hop that stays on this machine or crosses TLS: small messages there and back, and large ones there.
import { api, depends, Service } from "ekiben";
import { z } from "zod";
import { type CallFigures, driveLoops } from "../closed-loops.ts";

const Message = z.object({ text: z.string() });
const Bytes = z.instanceof(Uint8Array);
export const largeBytes = 6_000_000;

export class Echo extends Service() {
  small = api({ input: Message, output: Message }, (message) => message);
  large = api({ input: Bytes, output: z.number() }, (bytes) => bytes.byteLength);
}

const Round = z.object({ message: z.enum(["small", "large"]), loops: z.int(), seconds: z.number() });
const Figures = z.object({ p50: z.number(), p99: z.number(), perSecond: z.number(), cpu: z.number() });
const large = new Uint8Array(largeBytes).fill(7);

export class Caller extends Service({ placement: "inline" }) {
  echo = depends(Echo);

  drive = api({ input: Round, output: Figures }, ({ message, loops, seconds }): Promise<CallFigures> => {
    const call = message === "small" ? () => this.echo.small({ text: "hello" }) : () => this.echo.large(large);
    return driveLoops(call, loops, seconds);
  });
}
