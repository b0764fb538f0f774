import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { runInNewContext } from "node:vm";
import { FakeClock } from "../../test/fake-clock.js";
import { RequestContext } from "./call.js";
import { copyContext } from "./call-context.js";
import { CallScope, createCallTime } from "./call-scope.js";

const copyOf = (value: unknown) => copyContext(value) as any;

describe("copyContext", () => {
  it("copies plain data and freezes the copy, at every level", () => {
    const value = { user: { name: "ann", roles: ["admin"] }, age: 3, isIn: true, none: null, gone: undefined };
    const copy = copyOf(value);
    assert.deepEqual(copy, { user: { name: "ann", roles: ["admin"] }, age: 3, isIn: true, none: null });
    assert.notEqual(copy.user, value.user);
    assert.throws(() => copy.user.roles.push("owner"), TypeError);
    assert.throws(() => (copy.user.name = "bob"), TypeError);
    value.user.name = "eve";
    assert.equal(copy.user.name, "ann");
    for (const plain of ["ann", 0, false, null, [], {}]) assert.deepEqual(copyOf(plain), plain);
    assert.equal(Object.is(copyOf(-0), 0), true);
    assert.deepEqual(copyOf(runInNewContext("({ user: 'ann' })")), { user: "ann" });
    assert.deepEqual(copyOf(Object.assign(Object.create(null), { user: "ann" })), { user: "ann" });
  });

  it("refuses what JSON does not carry, with its place and never its value", () => {
    class User {
      name = "secret";
    }
    const cases: [unknown, string, RegExp][] = [
      [{ user: { since: new Date(0) } }, "context.user.since", /of class Date/],
      [[new User()], "context[0]", /of class User/],
      [{ roles: new Set(["secret"]) }, "context.roles", /of class Set/],
      [{ a: [Number.NaN] }, "context.a[0]", /NaN/],
      [{ a: [undefined] }, "context.a[0]", /undefined/],
      [{ check: () => "secret" }, "context.check", /a function/],
      [{ id: 7n }, "context.id", /a bigint/],
      [{ id: Symbol("secret") }, "context.id", /a symbol/],
      [JSON.parse('{"__proto__":{"isAdmin":true}}'), "context", /__proto__/],
    ];
    for (const [value, path, what] of cases) {
      assert.throws(
        () => copyContext(value),
        (error: any) => {
          assert.deepEqual([error.id, error.details.path], ["invalid_context", path]);
          assert.match(error.message, what);
          assert.doesNotMatch(error.message, /secret/);
          return true;
        },
      );
    }
  });

  it("refuses more than 16 KiB and deep nesting, without walking through all of it", () => {
    const refused = { id: "invalid_context" };
    assert.equal(copyOf("x".repeat(16_382)).length, 16_382);
    assert.throws(() => copyContext("x".repeat(16_383)), refused);
    assert.throws(() => copyContext("€".repeat(6_000)), { message: /18002 bytes/ });
    let reads = 0;
    const count = (list: object, key: PropertyKey) => {
      reads++;
      return Reflect.get(list, key);
    };
    const wide = new Proxy(new Array<number>(1e6).fill(1), { get: count });
    assert.throws(() => copyContext(wide), refused);
    assert.ok(reads < 40_000, `${reads} reads`);
    const circle: Record<string, unknown> = {};
    circle["self"] = circle;
    assert.throws(() => copyContext(circle), refused);
  });
});

describe("RequestContext", () => {
  it("carries the app's context to other processes, and changes nothing without one", () => {
    const request = new RequestContext({ "x-a": "1" }, "r1");
    const plain = JSON.parse(new RequestContext({ "x-a": "1" }, "r1").wireText);
    assert.equal(plain.length, 4);
    request.setAppContext({ user: "ann", roles: ["admin"] });
    const arrived = RequestContext.fromWire(request.wireText);
    assert.deepEqual(arrived.appContext, { user: "ann", roles: ["admin"] });
    assert.deepEqual([arrived.id, arrived.headers], ["r1", { "x-a": "1" }]);
    assert.throws(() => (arrived.appContext as any).roles.push("x"), TypeError);
    assert.deepEqual(RequestContext.fromWire(arrived.wireText).appContext, arrived.appContext);
    assert.equal(RequestContext.fromWire(JSON.stringify(plain)).appContext, undefined);
  });

  it("has no context when the text of another process has one that no copy has", () => {
    const deep = `${"[".repeat(5_000)}${"]".repeat(5_000)}`;
    const text = new RequestContext({}, "r1").wireText.replace(/\]$/, `,${deep}]`);
    assert.deepEqual([RequestContext.fromWire(text).appContext, RequestContext.fromWire(text).id], [undefined, "r1"]);
  });
});

describe("requireContext()", () => {
  /** A running call of an api, with or without a context. */
  function callFrom(service: string, context?: unknown) {
    const request = new RequestContext();
    request.setAppContext(context);
    const time = createCallTime(new FakeClock());
    const call = {
      ...{ service: "Desk", api: "mine", deadline: Number.POSITIVE_INFINITY, caller: { service, api: "" }, request },
      ...{ outside: false, priority: "interactive" as const },
    };
    return new CallScope(call, undefined, time, time.clock.now());
  }

  it("returns the context, whatever it is but null", () => {
    for (const context of [{ user: "ann" }, "ann", 0, false, ""]) {
      assert.deepEqual(callFrom("http", context).running.requireContext(), context);
    }
  });

  it("refuses a call without one, and says why there is none", () => {
    const batched = callFrom("http", { user: "ann" });
    batched.joinBatch();
    const cases: [CallScope, RegExp][] = [
      [callFrom("http"), /^Desk\.mine must know who is asking, .*: no function gave one to the request/],
      [callFrom("http", null), /no function gave one/],
      [callFrom("Front"), /or it runs for a cached answer$/],
      [callFrom("local"), /the program or test that made the call gave none$/],
      [callFrom("schedule"), /it runs by its schedule, without a request$/],
      [batched, /it runs for a batch of several requests$/],
    ];
    for (const [{ running }, message] of cases) {
      assert.throws(() => running.requireContext(), {
        ...{ id: "context_missing", code: "unauthenticated", service: "Desk", api: "mine" },
        ...{ retryable: false, message },
      });
    }
  });
});
