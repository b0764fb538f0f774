import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";
import { api, task } from "../define/api.js";
import { depends, type ServiceClass } from "../define/depends.js";
import { Service } from "../define/service.js";
import type { GraphFault } from "../failure/failures.js";
import { ServingError } from "../failure/serving-error.js";
import { resolveGraph } from "./graph.js";

const text = { input: z.string(), output: z.string() };

function faultsOf(entry: ServiceClass): readonly GraphFault[] {
  try {
    resolveGraph(entry);
  } catch (error) {
    assert.ok(error instanceof ServingError);
    assert.equal(error.id, "invalid_graph");
    return error.details["faults"] as readonly GraphFault[];
  }
  throw new Error("no fault was found");
}

let constructed = 0;
class Leaf extends Service({ version: "7" }) {
  count = ++constructed;
  echo = api(text, (value) => value);
}
class Left extends Service() {
  leaf = depends(Leaf, { timeoutMs: 50 });
  go = api(text, (value) => this.leaf.echo(value));
}
class Right extends Service({ name: "right-hand" }) {
  #leaf = depends(Leaf);
  go = api(text, (value) => this.#leaf.echo(value));
}
class Diamond extends Service() {
  left = depends(Left);
  right = depends(Right);
  go = api(text, (value) => this.left.go(this.right.go(value)));
}

describe("resolveGraph", () => {
  it("shares a diamond's tip, constructs each class once, and puts callees first", () => {
    constructed = 0;
    const graph = resolveGraph(Diamond);
    assert.equal(constructed, 1);
    assert.equal(graph.entry, "Diamond");
    assert.deepEqual([...graph.services.keys()], ["Leaf", "Left", "right-hand", "Diamond"]);
    assert.deepEqual(
      graph.edges.map(({ from, field, to }) => `${from}.${field}>${to}`),
      ["Left.leaf>Leaf", "right-hand.(private)>Leaf", "Diamond.left>Left", "Diamond.right>right-hand"],
    );
    assert.deepEqual(graph.edges[0]?.options, { timeoutMs: 50 });
    assert.equal(graph.services.get("Leaf")?.options.version, "7");
  });

  it("leaves out what a substitute does not need", () => {
    const graph = resolveGraph(Diamond, new Map([[Left, { go: (value: string) => value }]]));
    assert.deepEqual(
      graph.edges.map(({ from, to }) => `${from}>${to}`),
      ["right-hand>Leaf", "Diamond>Left", "Diamond>right-hand"],
    );
  });

  it("refuses what is no service", () => {
    class Plain {}
    assert.throws(() => resolveGraph(Plain as never), /class Plain is not a service/);
    assert.throws(
      () => resolveGraph(undefined as never),
      /undefined \(do two files import each other\?\) is not a service/,
    );
  });

  it("reports every fault at once, each with class, field and fix", () => {
    const Twin = (() => {
      class Leaf extends Service() {
        other = api(text, (value) => value);
      }
      return Leaf;
    })();
    class Broken extends Service() {
      leaf = depends(Leaf);
      twin = depends(Twin);
      plain = depends(class Plain {} as never);
      missing = depends(undefined as never);
      both = api({ output: z.string(), yields: z.string() } as never, (() => "") as never);
      override stop = api(text, (value) => value) as never;
      // biome-ignore lint/suspicious/noThenProperty: it is what is refused here
      then = api(text, (value) => value);
      first = api({ ...text, route: "/same" }, (value) => value);
      second = api({ ...text, route: "/same" }, (value) => value);
      probe = api({ ...text, route: "/metrics" }, (value) => value);
      odd = api({ ...text, route: "no slash" }, (value) => value);
      rows = api({ ...text, batch: { maxRows: 8 } }, (value) => value);
      items = api(
        { input: z.array(z.string()), yields: z.string(), batch: { maxRows: 8 } } as never,
        (() => "") as never,
      );
    }
    const faults = faultsOf(Broken);
    assert.deepEqual(faults.map((fault) => `${fault.service}.${fault.field} ${fault.id}`).sort(), [
      "Broken. duplicate_route",
      "Broken. duplicate_route",
      "Broken.both invalid_contract",
      "Broken.items invalid_contract",
      "Broken.missing not_a_service",
      "Broken.odd invalid_route",
      "Broken.plain not_a_service",
      "Broken.rows invalid_contract",
      "Broken.stop reserved_name",
      "Broken.then reserved_name",
      "Leaf. duplicate_service_name",
    ]);
    for (const fault of faults) assert.ok(fault.message.length > 10 && fault.fix.length > 10);
  });

  it("refuses names that no flag could name, and takes those of every script", () => {
    const named = (name: string) => class extends Service({ name }) {};
    for (const name of ["a.b", "a=b", "a,b", "a/b", "a:b", "a b", ""]) {
      assert.deepEqual(
        faultsOf(named(name)).map(({ id }) => id),
        ["invalid_name"],
        name,
      );
    }
    for (const name of ["Modèle", "日本", "$", "_", "a-b", "1", "constructor"]) resolveGraph(named(name));
    for (const name of ["http", "local", "schedule"]) {
      const [fault, ...others] = faultsOf(named(name));
      assert.deepEqual([fault?.id, fault?.service, others], ["reserved_service_name", name, []]);
    }
    resolveGraph(named("Http"));
    class Apis extends Service() {
      "a.b" = api({ ...text, route: "/ab" }, (value) => value);
      $ = api(text, (value) => value);
      ünïcode = api({ ...text, route: "/unicode" }, (value) => value);
    }
    const faults = faultsOf(Apis).map(({ field, id, fix }) => [field, id, /route: "\/name"/.test(fix)]);
    assert.deepEqual(faults, [
      ["a.b", "invalid_name", false],
      ["$", "invalid_route", true],
    ]);
  });

  it("finds apis that stand in the way of a task's own paths and names", () => {
    class Crowded extends Service() {
      train = task({ output: z.any() }, () => 1);
      status = api({ output: z.any(), route: "/train/status" }, () => 1);
      "train:submit" = api({ output: z.any(), route: "/other" }, () => 1);
      stream = task({ yields: z.any() } as never, (() => {}) as never);
    }
    assert.deepEqual(
      faultsOf(Crowded)
        .map(({ field, message }) => `${field}: ${message}`)
        .sort(),
      [
        ": route /train/status is used by Crowded.train and Crowded.status",
        "stream: a task can't have yields: only its one result is stored",
        `train:submit: "train:submit" can't be the name of an api: flags and variables could not name it`,
        "train:submit: train:submit is the name of an operation of the task train",
      ],
    );
  });

  it("finds each cycle and shows its way round", () => {
    class A extends Service() {
      b: unknown = depends(B as never);
      self: unknown = depends(A as never);
    }
    class B extends Service() {
      c: unknown = depends(C as never);
    }
    class C extends Service() {
      a: unknown = depends(A as never);
    }
    assert.deepEqual(
      faultsOf(A).map((fault) => `${fault.field}: ${fault.message}`),
      [
        "a: services depend on one another in a circle: A -> B -> C -> A",
        "self: services depend on one another in a circle: A -> A",
      ],
    );
  });

  it("shows a constructor that throws, and one that calls what it only wires", () => {
    class Eager extends Service() {
      leaf = depends(Leaf);
      early = this.leaf.echo("too early");
    }
    class Throws extends Service() {
      eager = depends(Eager);
      constructor() {
        super();
        throw new Error("no disk");
      }
    }
    assert.match(faultsOf(Throws)[0]?.message ?? "", /constructing it threw: Error: no disk/);
    assert.match(faultsOf(Eager)[0]?.message ?? "", /Leaf\.echo was called while the graph is still being wired/);
  });

  it("tells whoever uses `new` on a service with dependencies what to do instead", () => {
    assert.throws(() => new Left(), { id: "depends_outside_scope" });
    assert.equal(new Leaf().count > 0, true);
  });
});
