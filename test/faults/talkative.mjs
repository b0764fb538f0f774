// A service that prints as much as a test asks for, through the log and past it.
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { api, currentCall, depends, Service } from "ekiben";
import { z } from "zod";

const times = { input: z.number(), output: z.number() };

export class Talker extends Service() {
  print = api(times, (count) => {
    for (let i = 0; i < count; i++) console.log(`printed ${"x".repeat(1000)}`);
    return count;
  });
  complain = api(times, (count) => {
    for (let i = 0; i < count; i++) console.error(`complained ${"x".repeat(1000)}`);
    return count;
  });
  log = api(times, (count) => {
    for (let i = 0; i < count; i++) currentCall().log.info({ text: "x".repeat(1000) }, "noted");
    return count;
  });
  /** Prints lines that are each a few times larger than the capacity of a pipe. */
  logLong = api(times, (count) => {
    for (let i = 0; i < count; i++) currentCall().log.info({ text: `"é${"x".repeat(12_000)}` }, "long");
    return count;
  });
  fail = api(times, () => {
    throw new Error("y".repeat(20_000));
  });
  /** Computes without a pause until its process ends. */
  hold = api(times, () => {
    console.error("holding");
    setTimeout(() => {
      for (;;);
    }, 100);
    return new Promise(() => {});
  });
  /** Returns the size of live memory; resident memory would include garbage that is not collected yet. */
  memory = api({ output: z.number() }, () => {
    setFlagsFromString("--expose-gc");
    runInNewContext("gc")();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  });
  where = api({ output: z.number() }, () => process.pid);
}

export class Speaker extends Service() {
  talker = depends(Talker);
  print = api(times, (count) => this.talker.print(count));
  complain = api(times, (count) => this.talker.complain(count));
  log = api(times, (count) => this.talker.log(count));
  logLong = api(times, (count) => this.talker.logLong(count));
  fail = api(times, (count) => this.talker.fail(count));
  hold = api(times, (count) => this.talker.hold(count));
  memory = api({ output: z.number() }, () => this.talker.memory());
  where = api({ output: z.number() }, () => this.talker.where());
}
