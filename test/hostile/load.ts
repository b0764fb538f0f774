import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { Tensor } from "../../src/define/tensor.js";
import { decodeNpy, encodeNpy } from "../../src/http/npy.js";
import { Connection, type Sending } from "../chaos/exchange.js";
import type { Random } from "../http/random.js";

/** Results of the callers under load. */
export interface LoadTally {
  answered: number;
  readonly faults: string[];
}

const limitMs = 60_000;
const json = { "content-type": "application/json" };
const npy = { "content-type": "application/x-npy", accept: "application/x-npy" };

interface Question {
  readonly sending: Sending;
  /** Checks an answer. @throws {AssertionError} when it is another answer. */
  check(body: Buffer): void;
}

/** Sends one idempotent request after another; each must be answered correctly whatever else happens. */
export async function callSteadily(
  url: string,
  random: Random,
  tally: LoadTally,
  isOver: () => boolean,
): Promise<void> {
  const connection = new Connection(url, limitMs);
  while (!isOver()) {
    const { sending, check } = random.pick(questions)(random);
    const ending = await connection.send(sending);
    // A stream whose replica was killed cannot be retried after its first part has arrived.
    if (ending.kind === "broken" && String(ending.body).includes('"replica_lost"')) continue;
    try {
      assert.equal(ending.kind, "answered", "error" in ending ? ending.error : "no answer");
      if (ending.kind === "answered") {
        assert.equal(ending.status, 200, `status ${ending.status}: ${ending.body.toString().slice(0, 400)}`);
        check(ending.body);
      }
      tally.answered++;
    } catch (error) {
      tally.faults.push(`under load, ${sending.path}: ${(error as Error).message.split("\n+ actual", 1)[0]}`);
    }
    await sleep(random.between(0, 30));
  }
  connection.close();
}

const questions: readonly ((random: Random) => Question)[] = [
  // Includes more rows than a batch holds: they run in pieces.
  (random) => {
    const rows = random.between(0, 20);
    const start = random.between(0, 1 << 20);
    const values = Float32Array.from({ length: rows * 4 }, (_, i) => start + i);
    return {
      sending: { path: "/scale", headers: npy, body: encodeNpy(new Tensor("float32", [rows, 4], values)) },
      check: (body) => assert.deepEqual([...readTensor(body)], [...values.map((value) => value * 2)], "wrong rows"),
    };
  },
  (random) => {
    const numbers = Array.from({ length: random.between(0, 40) }, () => random.between(0, 1e6));
    return {
      sending: { path: "/double", headers: json, body: Buffer.from(JSON.stringify(numbers)) },
      check: (body) =>
        assert.deepEqual(
          JSON.parse(String(body)),
          numbers.map((value) => value * 2),
          "wrong numbers",
        ),
    };
  },
  // Large enough to use shared memory.
  (random) => {
    const start = random.between(0, 1000);
    const values = Float32Array.from({ length: 60_000 }, (_, i) => start + (i % 100));
    return {
      sending: { path: "/negate", headers: npy, body: encodeNpy(new Tensor("float32", [values.length], values)) },
      check: (body) => {
        const wrong = readTensor(body).findIndex((value, i) => value !== -(values[i] ?? 0));
        assert.equal(wrong, -1, "a wrong value in a large tensor");
      },
    };
  },
  (random) => {
    const count = random.between(0, 60);
    return {
      sending: {
        path: "/countUp",
        headers: { ...json, accept: "application/x-ndjson" },
        body: Buffer.from(`${count}`),
      },
      check: (body) => {
        const lines = String(body).split("\n").filter(Boolean);
        assert.deepEqual(lines.map(Number), [...Array(count).keys()], "wrong items of a stream");
      },
    };
  },
];

function readTensor(body: Buffer): Float32Array {
  const tensor = decodeNpy(body);
  assert.ok(typeof tensor === "object" && tensor.data instanceof Float32Array, `no tensor: ${String(tensor)}`);
  return tensor.data;
}
