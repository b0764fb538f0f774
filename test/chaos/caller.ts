import { setTimeout as sleep } from "node:timers/promises";
import type { Random } from "../http/random.js";
import { Connection, type Ending } from "./exchange.js";
import { type ChaosRequest, createRequest, type Kind, kinds } from "./requests.js";
import type { Outcome, Tally } from "./tally.js";

/**
 * Longest duration of a request: the deadline of every api is 30 s, and the answer may need a little longer to arrive.
 */
export const limitMs = 40_000;
/** Maximum number of attempts: a request breaks when its entry replica ends, but not that often in a row. */
const maxTries = 20;

/** Kinds of requests; a kind is chosen as often as it is listed. */
const mix: readonly Kind[] = ["relay", "relay", "relay", "relayTensor", "relayOnce", "relayOnce", "count", "count"];

/** One connection of a storm, and the behaviour of its client. */
export interface Caller {
  readonly random: Random;
  readonly manner: "steady" | "slow" | "leaving";
}

/** Sends one request after another until the storm is over, and checks each answer. */
export async function callOn(url: string, { random, manner }: Caller, tally: Tally, isOver: () => boolean) {
  const connection = new Connection(url, limitMs);
  while (!isOver()) {
    const request = createRequest(random, random.pick(mix), manner);
    await callOnce(connection, request, tally);
    await sleep(random.between(0, 200));
  }
  connection.close();
}

/** Sends one request, again where a client may retry, and records how it ended. */
export async function callOnce(connection: Connection, request: ChaosRequest, tally: Tally): Promise<void> {
  const { kind } = request;
  const begun = performance.now();
  tally.onSent(kind);
  for (let tries = 1; ; tries++) {
    const ending = await connection.send(request.sending);
    let outcome: Outcome | "again";
    try {
      outcome = judge(request, ending, tally, connection.openedAt);
    } catch (error) {
      tally.faults.push(`${kind}: ${(error as Error).message}`);
      return;
    }
    if (outcome !== "again") {
      tally.onEnded(kind, outcome, performance.now() - begun);
      return;
    }
    if (tries === maxTries) {
      tally.faults.push(`${kind}: its connection broke ${maxTries} times in a row`);
      return;
    }
    tally.onAgain(kind);
  }
}

/** Checks an answer. @throws {Error} for an answer that is not allowed. */
function judge(request: ChaosRequest, ending: Ending, tally: Tally, openedAt: number): Outcome | "again" {
  const { kind } = request;
  if (ending.kind === "hung") throw new Error(`no answer within ${limitMs} ms`);
  if (ending.kind === "left") return "left";
  const failure = findFailure(ending.body.subarray(-4000).toString());
  if (failure !== undefined) return judgeFailure(request, failure, ending, tally);
  if (ending.kind === "answered") {
    if (ending.status !== 200) throw new Error(`status ${ending.status}: ${ending.body.toString().slice(0, 500)}`);
    request.check(ending);
    return "right";
  }
  const what = `${kind}: ${ending.error}, after ${ending.body.length} bytes with status ${ending.status}`;
  tally.breaks.push({ openedAt, at: performance.now(), what });
  const hasBegun = request.countItems(ending.body) > 0;
  return kinds[kind].isIdempotent && !hasBegun ? "again" : "lost";
}

interface Failure {
  readonly id: string;
  readonly code: string;
  readonly service: string;
}

/** Reads the body of a failure: the whole answer, or the last item of a stream. */
function findFailure(text: string): Failure | undefined {
  const [last] = /\{"error":.*\}\s*$/.exec(text) ?? [];
  return last === undefined ? undefined : (JSON.parse(last) as Failure);
}

/** True when the request may fail: an api that may not run twice, or a stream whose first part has arrived. */
function judgeFailure(
  request: ChaosRequest,
  failure: Failure,
  ending: Ending & { body: Buffer },
  tally: Tally,
): "failed" {
  const { kind } = request;
  const { id, code, service } = failure;
  const items = request.countItems(ending.body);
  const isFair = kinds[kind].isStream
    ? items > 0
    : !kinds[kind].isIdempotent && "status" in ending && ending.status === 503;
  const isTyped = code === "unavailable" && id === "replica_lost" && ["Second", "Third", "Last"].includes(service);
  if (!isFair || !isTyped) throw new Error(`failed after ${items} items: ${JSON.stringify(failure)}`);
  tally.onFailure(kind, id, service);
  return "failed";
}
