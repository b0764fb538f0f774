import assert from "node:assert/strict";
import { Tensor } from "../../src/define/tensor.js";
import { decodeNpy, encodeNpy } from "../../src/http/npy.js";
import type { Random } from "../http/random.js";
import type { Ending, Sending } from "./exchange.js";

/** Kind of a request: whether it may be sent twice, and whether the answer is a stream. */
export const kinds = {
  relay: { isIdempotent: true, isStream: false },
  relayTensor: { isIdempotent: true, isStream: false },
  relayOnce: { isIdempotent: false, isStream: false },
  count: { isIdempotent: true, isStream: true },
} as const;
export type Kind = keyof typeof kinds;
export const kindNames = Object.keys(kinds) as Kind[];

/** Request with its expected answer. */
export interface ChaosRequest {
  readonly kind: Kind;
  readonly sending: Sending;
  /** Checks a whole answer. @throws {AssertionError} when it is incomplete or wrong. */
  readonly check: (ending: Ending & { kind: "answered" }) => void;
  /** Counts the items of a partial stream. @throws {AssertionError} when one of them is wrong. */
  readonly countItems: (body: Buffer) => number;
}

type Manner = "steady" | "slow" | "leaving";

/** Size of a large text: 200 kB. */
const tensorLength = 50_000;
/** Mark that each of the four services adds to a text. */
const marks = "1234";

/** Makes a request of one kind, with random contents and behaviour. */
export function createRequest(random: Random, kind: Kind, manner: Manner): ChaosRequest {
  const { path, headers, body, ...checks } = contents[kind](random);
  return { kind, ...checks, sending: { path, headers, body, ...mannersOf(random, manner) } };
}

function mannersOf(random: Random, manner: Manner): Partial<Sending> {
  if (manner === "slow") return { writeParts: random.between(1, 6), pauseMs: random.between(5, 60) };
  if (manner === "leaving") {
    const leaves = { during: random.pick(["body", "answer"] as const), afterMs: random.between(0, 60) };
    return { leaves, writeParts: random.between(1, 4), pauseMs: random.between(0, 20) };
  }
  return {};
}

type Contents = Omit<ChaosRequest, "kind" | "sending"> &
  Pick<Sending, "path"> &
  Required<Pick<Sending, "headers" | "body">>;

const json = { "content-type": "application/json" };
const noItems = (): number => 0;

const contents: Readonly<Record<Kind, (random: Random) => Contents>> = {
  relay: (random) => createNote(random, "/relay"),
  relayOnce: (random) => createNote(random, "/relayOnce"),
  relayTensor: (random) => {
    const start = random.between(0, 1000);
    const values = Float32Array.from({ length: tensorLength }, (_, i) => start + (i % 1000));
    const npy = "application/x-npy";
    return {
      path: "/relayTensor",
      headers: { "content-type": npy, accept: npy },
      body: encodeNpy(new Tensor("float32", [tensorLength], values)),
      countItems: noItems,
      check: ({ body }) => {
        const answer = decodeNpy(body);
        assert.ok(typeof answer === "object", `no tensor: ${String(answer)}`);
        assert.equal(answer.data.length, tensorLength);
        const wrong = values.findIndex((value, i) => answer.data[i] !== value + marks.length);
        assert.equal(wrong, -1, `value ${wrong} is ${String(answer.data[wrong])}`);
      },
    };
  },
  count: (random) => createCount(random),
};

function createNote(random: Random, path: string): Contents {
  const text = random.text(random.between(1, 60));
  const waitMs = random.between(0, 40);
  return {
    path,
    headers: json,
    body: Buffer.from(JSON.stringify({ text, waitMs })),
    countItems: noItems,
    check: ({ body }) => assert.deepEqual(JSON.parse(body.toString()), { text: text + marks, waitMs }),
  };
}

function createCount(random: Random): Contents {
  const text = random.text(random.between(1, 400));
  const items = random.between(1, 60);
  const accept = random.pick(["text/event-stream", "application/x-ndjson"]);
  const countItems = (body: Buffer): number => {
    const parts = body.toString().split(/\n+/).filter(isItem);
    for (const [index, part] of parts.entries()) {
      assert.deepEqual(JSON.parse(part.replace(/^data: /, "")), { text: text + marks, index });
    }
    return parts.length;
  };
  return {
    path: "/count",
    headers: { ...json, accept },
    body: Buffer.from(JSON.stringify({ text, items, waitMs: random.between(0, 10) })),
    countItems,
    check: ({ body }) => assert.equal(countItems(body), items, "a stream that looks complete lacks items"),
  };
}

/** True for a complete line that is an item: neither a failure nor the rest of a broken connection. */
const isItem = (line: string): boolean => /^(?:data: )?\{"text":.*"index":\d+\}$/s.test(line);
