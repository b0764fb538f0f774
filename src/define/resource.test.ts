import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";
import { createDeferred } from "../base/clock.js";
import { silentLogger } from "../base/logger.js";
import { api } from "./api.js";
import { compileService } from "./descriptor.js";
import { resource, ServiceResources } from "./resource.js";
import { Service, type StartContext } from "./service.js";

const createContext = (signal = new AbortController().signal): StartContext => ({
  resources: { cpuThreads: 1, memoryBytes: Number.POSITIVE_INFINITY, gpus: [] },
  replica: { index: 0, id: "Model#0" },
  log: silentLogger,
  signal,
});
const refuse = (error: unknown) => assert.fail(String(error));
const text = { output: z.string() };

class Model extends Service({ name: "Scorer" }) {
  session = resource(() => ({ run: (): string => "ran" }));
  run = api(text, () => this.session.run());
}

describe("a resource that is not open", () => {
  it("throws at every use, and says which it is", async () => {
    const model = new Model();
    const refusal = { id: "resource_not_open", message: /^Scorer\.session was used/, fix: /assign the field first/ };
    await assert.rejects(model.run(), refusal);
    const placeholder = model.session as unknown as () => unknown;
    const uses: (() => unknown)[] = [
      () => placeholder(),
      () => `${model.session}`,
      () => Object.keys(model.session),
      () => "run" in model.session,
      () => Reflect.set(model.session, "run", 1),
      () => placeholder instanceof Model,
      () => Reflect.construct(placeholder, []),
    ];
    for (const use of uses) assert.throws(use, refusal);
    await assert.rejects(async () => model.session, refusal);
  });

  it("is replaced by what a unit test assigns", async () => {
    const model = new Model();
    model.session = { run: () => "faked" };
    assert.equal(await model.run(), "faked");
  });

  it("is not opened when the graph is learnt", () => {
    class Watched extends Service() {
      opened = resource(() => assert.fail("opened"));
      run = api(text, () => "x");
    }
    const { faults, apis } = compileService(Watched);
    assert.deepEqual([faults, [...apis.keys()]], [[], ["run"]]);
  });
});

describe("the place of a resource", () => {
  const faultsOf = (service: Parameters<typeof compileService>[0]) =>
    compileService(service).faults.map(({ id, field }) => [id, field]);

  it("is a public field: others are faults of the graph", () => {
    class Private extends Service() {
      #session = resource(() => 1);
      after = resource(() => 2);
      run = api(text, () => String(this.#session));
    }
    class Last extends Service() {
      before = resource(() => 2);
      #session = resource(() => 1);
      run = api(text, () => String(this.#session));
    }
    class Listed extends Service() {
      sessions = [resource(() => 1)];
    }
    class Reserved extends Service() {
      // biome-ignore lint/suspicious/noThenProperty: refused, as it should be
      then = resource(() => 1);
    }
    for (const service of [Private, Last, Listed]) assert.deepEqual(faultsOf(service), [["resource_out_of_place", ""]]);
    assert.deepEqual(faultsOf(Reserved), [["reserved_name", "then"]]);
  });

  it("may be given to another by a subclass, and hold another service's instance", () => {
    class Special extends Model {
      override session = resource(() => ({ run: (): string => "special" }));
    }
    class Nesting extends Service() {
      inner = new Model();
      own = resource(() => 1);
    }
    assert.deepEqual([faultsOf(Special), faultsOf(Nesting)], [[], []]);
  });
});

describe("ServiceResources", () => {
  const told: string[] = [];
  const open = (name: string) => () => {
    told.push(`${name} opened`);
    return name;
  };
  const close = (name: string) => void told.push(`${name} closed`);

  it("closes those it has opened when a later one fails (VR1)", async () => {
    told.length = 0;
    class Half extends Service() {
      one = resource(open("one"), close);
      two = resource(async () => open("two")(), close);
      three = resource<string>(() => Promise.reject(new Error("no file", { cause: new Error("ENOENT") })), close);
    }
    const resources = new ServiceResources(new Half(), "Half");
    await assert.rejects(resources.open(createContext()), {
      id: "resource_failed",
      service: "Half",
      message: "resource Half.three could not be opened: no file; caused by: ENOENT",
    });
    assert.equal(resources.areOpen, false);
    await resources.close(refuse);
    await resources.close(refuse);
    assert.deepEqual(told, ["one opened", "two opened", "two closed", "one closed"]);
  });

  it("puts each value into its field before the next is opened (VR2)", async () => {
    class Chain extends Service() {
      first = resource(() => Promise.resolve({ name: "first" }));
      second = resource(() => `after ${this.first.name}`);
    }
    const chain = new Chain();
    const { first } = chain;
    assert.equal(await new ServiceResources(chain, "Chain").open(createContext()), true);
    assert.deepEqual([chain.first, chain.second], [{ name: "first" }, "after first"]);
    assert.throws(() => first.name, { id: "resource_not_open", message: /^a resource\(\) was used/ });
  });

  it("closes at once what is opened after it was closed, and opens no other (VR3)", async () => {
    told.length = 0;
    const opening = createDeferred<string>();
    class Late extends Service() {
      slow = resource(() => opening.promise, close);
      never = resource(open("never"), close);
    }
    const resources = new ServiceResources(new Late(), "Late");
    const opened = resources.open(createContext());
    await resources.close(refuse);
    opening.resolve("slow");
    assert.equal(await opened, false);
    assert.deepEqual(told, ["slow closed"]);
  });

  it("opens no more once the start is called off", async () => {
    told.length = 0;
    const abort = new AbortController();
    class Called extends Service() {
      one = resource(() => {
        abort.abort();
        return "one";
      }, close);
      two = resource(open("two"), close);
    }
    const resources = new ServiceResources(new Called(), "Called");
    assert.equal(await resources.open(createContext(abort.signal)), false);
    await resources.close(refuse);
    assert.deepEqual(told, ["one closed"]);
  });

  it("closes by a value's own method where no other is given, and goes on after one that throws", async () => {
    told.length = 0;
    class Disposing extends Service() {
      later = resource(() => ({ [Symbol.asyncDispose]: async () => close("later"), [Symbol.dispose]: refuse }));
      now = resource(() => ({ [Symbol.dispose]: () => close("now") }));
      plain = resource(() => 7);
      wrong = resource(
        () => 1,
        () => Promise.reject(new Error("stuck")),
      );
    }
    const resources = new ServiceResources(new Disposing(), "Disposing");
    await resources.open(createContext());
    await resources.close((error, field) => void told.push(`${field}: ${error}`));
    assert.deepEqual(told, ["wrong: Error: stuck", "now closed", "later closed"]);
  });
});
