import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import { type Frame, frameKinds, noTails, wireVersion } from "./frame.js";
import {
  createCallerHello,
  createContractFrame,
  createLoadFrame,
  createPing,
  createPong,
  createReplicaHello,
  maxContractBytes,
  readCallerHello,
  readContractFrame,
  readLoadFrame,
  readPong,
  readReplicaHello,
} from "./remote-hello.js";
import { encodeError } from "./wire-error.js";

const digest = "0123456789abcdef0123456789abcdef";
const caller = { service: "Ranker", caller: "00112233", contract: digest };
const replica = { service: "Ranker", replica: "host-1/Ranker#0", replicas: 3, zone: "eu-1", contract: digest };
const frameOf = (kind: number, head: string, more: Partial<Frame> = {}): Frame => ({
  ...{ kind, flags: 0, id: 0, head, tails: noTails },
  ...more,
});
const helloOf = (fields: object) => frameOf(frameKinds.hello, JSON.stringify({ ekiben: wireVersion, ...fields }));
const malformed = { id: "malformed_frame" };

describe("hellos between two apps", () => {
  it("tell service, caller or replica, and contract", () => {
    assert.deepEqual(readCallerHello(createCallerHello(caller)), caller);
    assert.deepEqual(readReplicaHello(createReplicaHello(replica)), replica);
    const { zone: _, ...bare } = replica;
    assert.deepEqual(readReplicaHello(helloOf(bare)), { ...replica, zone: "" });
    assert.deepEqual(readCallerHello(helloOf({ ...caller, later: [1] })), caller);
  });

  it("of another version of the wire end the link as those within one machine", () => {
    const other = { id: "wire_version", details: { theirs: wireVersion + 1, ours: wireVersion } };
    assert.throws(() => readCallerHello(helloOf({ ...caller, ekiben: wireVersion + 1 })), other);
    assert.throws(() => readReplicaHello(helloOf({ ...replica, ekiben: wireVersion + 1 })), other);
  });

  it("may be replaced by the reason of a refusal, and by no other failure", () => {
    const read = (failure: ServingError) => () => readReplicaHello(frameOf(frameKinds.failure, encodeError(failure)));
    assert.throws(read(fail("caller_refused", { problem: "its key is unknown" })), { id: "caller_refused" });
    assert.throws(read(fail("draining", { what: "Ranker" })), { id: "malformed_frame" });
  });

  it("with other fields than these are refused", () => {
    const names = [undefined, "", 7, "a\nb", "a\u0000b", "x".repeat(513), {}, ["Ranker"]];
    for (const service of names) assert.throws(() => readCallerHello(helloOf({ ...caller, service })), malformed);
    for (const name of names) assert.throws(() => readReplicaHello(helloOf({ ...replica, replica: name })), malformed);
    for (const zone of [7, "a\nb", {}]) assert.throws(() => readReplicaHello(helloOf({ ...replica, zone })), malformed);
    for (const contract of [undefined, "", digest.slice(1), `${digest}0`, digest.toUpperCase(), 7]) {
      assert.throws(() => readCallerHello(helloOf({ ...caller, contract })), malformed);
      assert.throws(() => readReplicaHello(helloOf({ ...replica, contract })), malformed);
    }
    for (const replicas of [undefined, -1, 1.5, "3", 1e9, Number.NaN]) {
      assert.throws(() => readReplicaHello(helloOf({ ...replica, replicas })), malformed);
    }
    for (const head of ["", "{", "[]", "null", '"text"']) {
      assert.throws(() => readCallerHello(frameOf(frameKinds.hello, head)), malformed);
    }
    assert.throws(() => readCallerHello({ ...createCallerHello(caller), kind: frameKinds.call }), malformed);
    assert.throws(() => readCallerHello({ ...createCallerHello(caller), tails: [new Uint8Array(1)] }), malformed);
    assert.throws(() => readCallerHello(helloOf({ ...caller, padding: "x".repeat(9_000) })), malformed);
  });
});

describe("frames of links between two apps", () => {
  it("carry contracts up to their limit", () => {
    const form = { service: "Ranker", apis: [] };
    assert.deepEqual(readContractFrame(createContractFrame(form) as Frame), form);
    assert.equal(createContractFrame({ text: "é".repeat(maxContractBytes / 2) }), undefined);
    for (const head of ["", "7", "[]", "{"]) {
      assert.throws(() => readContractFrame(frameOf(frameKinds.contract, head)), malformed, head);
    }
    assert.throws(() => readContractFrame(frameOf(frameKinds.call, "{}")), malformed);
  });

  it("carry load, pings and pongs", () => {
    assert.deepEqual(readLoadFrame(createLoadFrame({ calls: 12, slots: 8 })), { calls: 12, slots: 8 });
    for (const head of ["", "1", "1 0", "-1 8", "1 8 9", "1e3 8", "1234567890 8"]) {
      assert.throws(() => readLoadFrame(frameOf(frameKinds.load, head)), malformed, head);
    }
    const pong = createPong(createPing(41), 5);
    assert.deepEqual([pong.id, readPong(pong)], [41, 5]);
    for (const head of ["", "x", "-1", "1234567"]) {
      assert.throws(() => readPong(frameOf(frameKinds.pong, head)), malformed, head);
    }
  });
});
