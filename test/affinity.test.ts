import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { api, depends, type Logger, Service, type StartContext, stream } from "ekiben";
import { compose } from "ekiben/testing";
import { z } from "zod";
import { failureOf, LogBook } from "./conformance/suite.js";

const Question = z.object({ user: z.string().optional(), text: z.string() });

/** Answers with the name of its replica. */
class Llm extends Service({ replicas: 4 }) {
  #id = "";

  override start({ replica }: StartContext): void {
    this.#id = replica.id;
  }

  ask = api({ input: Question, output: z.string() }, () => this.#id);
  tell = api({ input: Question, yields: z.string() }, () => twice(this.#id));
  listen = api({ input: stream(z.string()), output: z.string() }, () => this.#id);
}

async function* twice(text: string): AsyncGenerator<string> {
  yield text;
  yield text;
}

const keyOf = (question: z.infer<typeof Question>): string | undefined => {
  if (question.text === "throw") throw new Error("the key is broken");
  return question.user;
};

class Chat extends Service() {
  llm = depends(Llm, { affinity: keyOf });

  ask = api({ input: Question, output: z.string() }, (question) => this.llm.ask(question));
  tell = api({ input: Question, output: z.array(z.string()) }, async (question) => {
    const items: string[] = [];
    for await (const item of this.llm.tell(question)) items.push(item);
    return items;
  });
  listen = api({ output: z.string() }, () => this.llm.listen(twice("a")));
}

describe("depends(…, { affinity })", () => {
  it("sends calls and streams with one key to one replica, and those of many keys to all", async () => {
    await using app = await compose(Chat);
    const homes = new Map<string, string>();
    for (let user = 0; user < 40; user++) {
      const question = { user: `user ${user}`, text: "hello" };
      const home = await app.entry.ask(question);
      homes.set(question.user, home);
      for (let i = 0; i < 3; i++) assert.equal(await app.entry.ask(question), home);
      assert.deepEqual(await app.entry.tell(question), [home, home]);
    }
    assert.deepEqual([...new Set(homes.values())].sort(), ["Llm#0", "Llm#1", "Llm#2", "Llm#3"]);
  });

  it("leaves calls without a key, and input streams, to any replica", async () => {
    await using app = await compose(Chat);
    const seen = new Set<string>();
    for (let i = 0; i < 8; i++) seen.add(await app.entry.ask({ text: "hello" }));
    assert.equal(seen.size, 4);
    assert.match(await app.entry.listen(), /^Llm#\d$/);
  });

  it("costs a call its key, not its answer, when it throws, and says so in the log", async () => {
    const log = new LogBook();
    await using app = await compose(Chat, { log: log.logger as Logger });
    assert.match(await app.entry.ask({ user: "u", text: "throw" }), /^Llm#\d$/);
    const { fields } = await log.take("affinity of depends(Llm) threw; the call goes to any replica");
    assert.match(String(fields["err"]), /the key is broken/);
  });

  it("is a fault of the graph when it is no function", async () => {
    class Wrong extends Service() {
      llm = depends(Llm, { affinity: "user" as never });
      ask = api({ output: z.null() }, () => null);
    }
    const error = await failureOf(compose(Wrong));
    assert.match(error.message, /affinity is "user" \(depends\(\)\); expected a function/);
  });
});
