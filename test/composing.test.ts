import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { depends, Service, type ServingError } from "ekiben";
import { type ComposedApp, compose } from "ekiben/testing";
import { resolveGraph } from "../src/graph/graph.js";
import { printGraph, printMermaid } from "../src/graph/picture/print-graph.js";
import { Front, Letters, Words } from "./composing/services.js";
import { collect, failureOf, LogBook } from "./conformance/suite.js";

for (const placement of ["inline", "thread", "process"] as const) {
  describe(`in placement ${placement}`, () => {
    let app: ComposedApp<Front>;
    const log = new LogBook();
    before(async () => {
      app = await compose(Front, { placement, log: log.logger });
    });
    after(() => app?.close());

    describe("promises in the fields of an input", () => {
      it("are awaited: of a call, a stream, a task", async () => {
        assert.equal(await app.entry.both(), "w:a l:b");
        assert.equal(await app.entry.items(), "w:a b");
        assert.equal(await app.entry.job(), "w:a b, c w:d");
      });

      it("do not let the other fields change meanwhile", async () => {
        assert.equal(await app.entry.changed(), "w:a b 1");
      });

      it("fail the call like a failed argument, and the others end with their caller", async () => {
        const error = await failureOf(app.entry.failing());
        assert.deepEqual([error.id, error.service, error.api], ["no_such_word", "Words", "tag"]);
        assert.equal(await app.service(Words).left(), "left");
        assert.equal((await failureOf(app.entry.failingBoth())).id, "no_such_word");
        const told = log.all().filter(({ message = "" }) => message.includes("failed, and"));
        assert.deepEqual(told, []);
      });

      it("are a log line when the call that they fail is never read", async () => {
        assert.equal(await app.entry.forgotten(), "left");
        await log.take(/^Fuser\.fuse, called by Front\.forgotten, failed, and Front\.forgotten never read its result/);
      });

      it("are what a late call waits for, by name in the thread that knows", async () => {
        const { id, message } = await failureOf(app.entry.one("hold", { timeoutMs: 50 }));
        assert.equal(id, "deadline_exceeded");
        assert.match(message, placement === "inline" ? /for Words\.tag$/ : /for (Words\.tag|Front\.one)$/);
      });

      it("have been awaited when an interceptor gets the input", async () => {
        const input = { first: "w:a", second: "b" };
        assert.deepEqual(await app.entry.intercepted(), [input, input, input]);
      });

      it("deeper than that are refused, with the path", async () => {
        const { id, message, service, api } = await failureOf(app.entry.deeper());
        assert.deepEqual([id, service, api], ["not_transferable", "Fuser", "fuse"]);
        assert.match(message, /^input\.rest\[0\] is a Promise \(await it first\)/);
      });
    });

    it("a list and a record of dependencies are handles like any other", async () => {
      assert.deepEqual(await app.entry.vote("x"), ["w:x", "l:x"]);
      assert.deepEqual([await app.entry.choose("short"), await app.entry.choose("long")], ["w:short", "l:long"]);
    });

    it("`this` of a generator, and of a function, is its service", async () => {
      assert.deepEqual(await collect(app.entry.spell("ab")), ["w:a", "w:b"]);
      assert.equal(await app.entry.count("ab"), "w:2");
    });
  });
}

describe("an instance made with `new`", () => {
  it("is `this` of its own apis", async () => {
    const words = new Words();
    assert.deepEqual(await collect(words.spell("ab")), ["w:a", "w:b"]);
    assert.equal(await words.count("ab"), "w:2");
  });
});

describe("a list and a record of dependencies", () => {
  it("are edges of the graph, named by index and key", () => {
    const graph = resolveGraph(Front);
    assert.deepEqual(
      graph.edges.filter(({ from }) => from === "Front").map(({ field, to }) => `${field} ${to}`),
      [
        "words Words",
        "fuser Fuser",
        "watched Fuser",
        "voters[0] Words",
        "voters[1] Letters",
        "models.short Words",
        "models.long Letters",
      ],
    );
    assert.match(printGraph(graph), /voters\[1\]: Letters/);
    assert.match(printMermaid(graph), /-->\|"voters\[1\], models\.long"\| s\d/);
  });

  it("are named by index and key in faults too", () => {
    class Bad extends Service() {
      voters = [depends(Letters), depends(Date as never)];
      models = { good: depends(Letters), bad: depends(Map as never) };
    }
    assert.throws(
      () => resolveGraph(Bad),
      (error: ServingError) => {
        const faults = error.details["faults"] as { id: string; field: string }[];
        assert.deepEqual(
          faults.map(({ id, field }) => `${field} ${id}`),
          ["voters[1] not_a_service", "models.bad not_a_service"],
        );
        return true;
      },
    );
  });

  it("are replaced by class, as any dependency", async () => {
    await using app = await compose(Front, { replace: [[Letters, { tag: (word) => `fake ${word}` }]] });
    assert.deepEqual(await app.entry.vote("x"), ["w:x", "fake x"]);
    assert.equal(await app.entry.choose("long"), "fake long");
  });
});
