import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { openCall } from "../../test/transport/open-call.js";
import type { ReplicaLink } from "../call/link.js";
import { ServingError } from "../failure/serving-error.js";
import { Faults } from "./faults.js";

/** A link that answers each call with "answered". */
const answering: ReplicaLink = {
  replica: "Model#0",
  inFlight: 0,
  send: (scope) => scope.reply("answered"),
  open: () => assert.fail("no stream was expected"),
};

/** Calls over a link that has the faults of a service. @returns The outputs, and the ids of failures. */
async function call(faults: Faults, times: number): Promise<unknown[]> {
  const link = faults.wrap(answering, "Wire");
  const answers: unknown[] = [];
  for (let i = 0; i < times; i++) {
    const { scope, answer } = openCall("echo", i);
    link.send(scope);
    answers.push(await answer.catch((error: { id: string }) => error.id));
  }
  return answers;
}

describe("Faults.replaceAll", () => {
  it("takes a fault that is asked for again, also where the first one has met its calls", async () => {
    const [asked, elsewhere] = [new Faults(), new Faults()];
    const error = new ServingError({ code: "unavailable", id: "down", message: "it is down" });
    for (let round = 0; round < 2; round++) {
      asked.fail("Wire", { times: 1, error });
      asked.replaceAll(asked.notices);
      elsewhere.replaceAll(asked.notices);
      for (const faults of [asked, elsewhere]) {
        assert.deepEqual(await call(faults, 2), ["down", "answered"], `round ${round}`);
      }
    }
  });
});
