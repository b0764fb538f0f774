import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { expectHandover, handOver } from "./depends.js";
import { Service } from "./service.js";

class First extends Service() {}
class Second extends Service() {}
class Third extends Service() {}

describe("a script that is loaded again for a replica", () => {
  it("goes on after each server that ran when the replica was ordered, and after no other (DH1, DH2)", async () => {
    assert.equal(handOver(First), undefined, "outside a replica");
    const server = { service: "First", url: "http://127.0.0.1:1", port: 1 };
    const others: string[] = [];
    const received = expectHandover("Second", [server], (service) => others.push(service));
    assert.deepEqual(handOver(First), { kind: "go on", server });
    assert.deepEqual(handOver(First), { kind: "stop" }, "a second server of that name had not started");
    assert.deepEqual(handOver(Third), { kind: "stop" });
    assert.deepEqual(handOver(Second), { kind: "stop" });
    assert.equal(await received, Second);
    assert.deepEqual(others, ["First", "First", "Third"]);
  });
});
