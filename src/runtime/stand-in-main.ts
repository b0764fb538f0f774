// Entry of the process that answers while no replica of the entry service is there   <-> app/stand-in.ts
import { systemClock } from "../base/clock.js";
import { createStandIn, type FromStandIn, type ToStandIn } from "./stand-in-server.js";

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"]) process.on(signal, () => {});
process.on("disconnect", () => process.exit(0));

const server = createStandIn(systemClock, (message: FromStandIn) =>
  process.send?.(message, undefined, undefined, () => {}),
);
process.on("message", (message: ToStandIn, handle: unknown) => {
  if (message.kind === "listen") server.listen(handle);
  else if (message.kind === "answer") server.receive(message);
  else void server.close().then(() => process.exit(0));
});
process.send?.({ kind: "up" } satisfies FromStandIn, undefined, undefined, () => {});
