// A task is called like an api, and has additional operations on handles and clients, with the contract's types.
import { api, depends, type Handle, Service, type TaskState, type Tensor, task, tensor } from "ekiben";
import { connect } from "ekiben/client";
import { compose } from "ekiben/testing";
import { z } from "zod";
import { expectSame, expectType } from "./expect.js";

class Trainer extends Service() {
  train = task(
    { input: z.object({ name: z.string(), epochs: z.number().default(1) }), output: z.object({ at: z.date() }) },
    (input) => {
      expectType<{ name: string; epochs: number }>()(input);
      return { at: new Date() };
    },
  );
  embed = task(
    { input: tensor("float32", ["n"]), output: tensor("float32", [8]), attempts: 5, idempotent: true },
    async (input) => ({
      ...input,
      shape: [8] as const,
    }),
  );
  sweep = task({ output: z.number(), timeoutMs: 1000, maxConcurrent: 2, retryBackoffMs: 5 }, () => 1);
  nightly = task({ output: z.number(), cron: "0 3 * * *", timeZone: "Europe/Rome" }, () => 1);
  hourly = task(
    { input: z.object({ epochs: z.number().default(1) }), output: z.number(), every: "1h", scheduleInput: {} },
    ({ epochs }) => epochs,
  );
  // @ts-expect-error the input of its runs is none of this task
  misfit = task({ input: z.string(), output: z.number(), every: 60_000, scheduleInput: 5 }, () => 1);
  // @ts-expect-error only a task runs by a schedule
  scheduled = api({ output: z.number(), every: "1h" }, () => 1);
  plain = api({ output: z.number() }, () => 1);
  // @ts-expect-error a wrong result
  wrong = task({ output: z.number() }, () => "one");
  // @ts-expect-error a task has one result
  stream = task({ yields: z.number() }, async function* () {});
  // @ts-expect-error attempts are a task's
  attempts = api({ output: z.number(), attempts: 3 }, () => 1);

  again = api({ output: z.date() }, async () => {
    // On its own instance, a task runs directly: nothing is stored.
    const { at } = await this.train({ name: "x" });
    // @ts-expect-error which is why it can't be handed in there
    this.train.submit({ name: "x" });
    return at;
  });
}

declare const handle: Handle<Trainer>;
expectSame<
  Exclude<keyof Handle<Trainer>, "wrong" | "stream" | "attempts" | "misfit" | "scheduled">,
  "train" | "embed" | "sweep" | "nightly" | "hourly" | "plain" | "again"
>();

expectType<Promise<{ at: Date }>>()(handle.train({ name: "x" }));
expectType<Promise<{ readonly id: string }>>()(handle.train.submit({ name: "x", epochs: 2 }, { timeoutMs: 5 }));
expectType<Promise<{ at: Date }>>()(handle.train.result("id", { signal: new AbortController().signal }));
expectType<Promise<TaskState>>()(handle.train.status("id"));
expectType<Promise<TaskState>>()(handle.train.cancel("id"));
expectType<Promise<{ readonly id: string }>>()(handle.train.retry("id"));
expectType<Promise<Tensor<"float32", readonly [8]>>>()(handle.embed.result("id"));
handle.train.submit(Promise.resolve({ name: "x" }));
handle.sweep.submit();
handle.sweep.submit(undefined, { timeoutMs: 5 });
// @ts-expect-error a wrong input
handle.train.submit({ name: 1 });
// @ts-expect-error no input at all
handle.train.submit();
// @ts-expect-error this task takes no input
handle.sweep.submit(1);
// @ts-expect-error an id is a text
handle.train.status(1);
// @ts-expect-error an api is no task
handle.plain.submit();

const client = await connect<Trainer>("http://localhost:3000");
expectType<Promise<{ at: string }>>()(client.train({ name: "x" }));
expectType<Promise<{ at: string }>>()(client.train.result("id"));
expectType<Promise<{ readonly id: string }>>()(client.train.submit({ name: "x" }, { headers: { a: "b" } }));
expectType<Promise<Tensor<"float32", readonly [8]>>>()(client.embed.result("id"));
expectType<Promise<TaskState>>()(client.sweep.status("id"));

class Front extends Service() {
  trainer = depends(Trainer);
  begin = api({ output: z.string() }, async () => (await this.trainer.train.submit({ name: "x" })).id);
}
await compose(Front, { replace: [[Trainer, { train: ({ name }) => ({ at: new Date(name) }) }]] });
expectType<AsyncIterable<TaskState>>()(handle.train.watch("id", { timeoutMs: 5 }));
handle.train.submit({ name: "x" }, { key: "order 7", delayMs: 60_000 });
// @ts-expect-error a delay is a number
handle.train.submit({ name: "x" }, { delayMs: "1m" });
