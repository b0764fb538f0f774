import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ServingError } from "ekiben";
import { Faulty, throwables } from "./services/faulty.js";
import { Middle } from "./services/middle.js";
import { Source } from "./services/source.js";
import { collectFailing, failureOf, readFailure, type Suite } from "./suite.js";

export function testFailures({ app, logged }: Suite): void {
  const near = (kind: string) => failureOf(app().service(Faulty).fail(kind));
  const far = (kind: string) => failureOf(app().entry.relay({ to: "faulty", api: "fail", input: kind }));
  const failed = { service: "Faulty", api: "fail" };

  describe("failures", () => {
    for (const [way, raise] of [
      ["one hop", near],
      ["three hops", far],
    ] as const) {
      it(`arrive over ${way} with every field`, async () => {
        const error = await raise("own");
        assert.equal(error.constructor, ServingError);
        assert.ok(error instanceof Error);
        assert.equal(error.name, "ServingError");
        assert.deepEqual(readFailure(error), {
          ...failed,
          code: "not_found",
          id: "no_such_page",
          message: "page 7 of 3",
          details: { page: 7, tried: ["a", { b: null, c: [1.5, true] }], "with space": "ä\n\ud800" },
          retryable: false,
          httpStatus: 404,
        });
      });

      it(`arrive over ${way} with defaults for what was not said`, async () => {
        assert.deepEqual(readFailure(await raise("bare")), {
          ...failed,
          code: "unavailable",
          id: "unavailable",
          message: "later",
          details: {},
          retryable: true,
          httpStatus: 503,
        });
      });

      it(`keep over ${way} what the author has said against the defaults`, async () => {
        assert.deepEqual(readFailure(await raise("overridden")), {
          code: "internal",
          id: "odd",
          message: "",
          details: {},
          service: "Else",
          api: "where",
          retryable: true,
          httpStatus: 418,
        });
      });

      it(`of any other class become internal over ${way}, with their message`, async () => {
        const cases: [string, string | RegExp][] = [
          ["error", "cannot read x"],
          ["an error without text", "RangeError"],
          ["an error with fields", "with fields"],
          ["string", "a string"],
          ["undefined", /undefined/],
          ["null", /null/],
          ["number", /7/],
          ["object", /object/],
        ];
        for (const [kind, message] of cases) {
          const error = await raise(kind);
          const { code, id, service, api, retryable, httpStatus } = error;
          assert.deepEqual(
            { code, id, service, api, retryable, httpStatus },
            { ...failed, code: "internal", id: "unhandled_error", retryable: false, httpStatus: 500 },
          );
          if (typeof message === "string") assert.equal(error.message, message);
          else assert.match(error.message, message);
          assert.match(String(error.incident), /^[0-9a-f]{12}$/);
        }
      });

      it(`arrive over ${way} with the first 16,384 characters of a longer message, and all of their details`, async () => {
        const unforeseen = await raise("a long text");
        assert.equal(unforeseen.message, "x".repeat(16_384));
        assert.equal((unforeseen.details["error"] as string).length, 100_000);
        const own = await raise("an own long text");
        assert.deepEqual([own.message, own.id], ["y".repeat(16_384), "long"]);
      });

      it(`show in one stack where they were thrown, over ${way}, and who called`, async () => {
        const { stack } = await raise("error");
        assert.match(String(stack), /^ServingError: cannot read x\n[\s\S]*faulty\.ts:\d+[\s\S]*called by/);
        assert.match(String((await raise("own")).stack), /^ServingError: page 7 of 3\n[\s\S]*faulty\.ts:\d+/);
      });

      it(`of a subclass arrive over ${way} as ServingError itself`, async () => {
        const error = await raise("subclass");
        assert.deepEqual([error.constructor, "extra" in error, error.id], [ServingError, false, "page"]);
      });

      it(`arrive over ${way} without their cause, which is for the log where they were raised`, async () => {
        const [caused, unforeseen] = [await raise("caused"), await raise("error")];
        assert.deepEqual([caused.cause, unforeseen.cause], [undefined, undefined]);
      });

      it(`bring over ${way} every kind of value in their details`, async () => {
        assert.deepEqual((await raise("rich details")).details, {
          when: new Date(5),
          big: 3n,
          odd: [Number.NaN, -0],
          none: undefined,
          raw: Uint8Array.of(1),
          map: new Map([[1, 2]]),
        });
      });

      it(`arrive over ${way} also where their details hold what can't cross, without that`, async () => {
        const { id, message, details } = await raise("details that can't cross");
        assert.deepEqual([id, message, typeof details["run"]], ["crossing", "crossing", "undefined"]);
        const endless = await raise("endless details");
        assert.deepEqual([endless.id, endless.details["self"] === endless.details], ["endless", false]);
      });

      it(`arrive over ${way} where what was thrown can't be made into a text`, async () => {
        const error = await raise("an object without a prototype");
        assert.deepEqual([error.code, error.id, error.service], ["internal", "unhandled_error", "Faulty"]);
      });
    }

    it("leave their cause in the log of the service that raised them", async () => {
      for (const raise of [near, far]) {
        await raise("logged");
        const { fields } = await logged("Faulty.fail failed: logged");
        assert.deepEqual([fields["service"], fields["api"], fields["failure"]], ["Faulty", "fail", "data_loss"]);
        assert.equal((fields["err"] as Error).message, "the tape");
      }
    });

    it("thrown before an api made any promise arrive as those thrown later", async () => {
      for (const kind of ["own", "error", "undefined"]) {
        const error = await failureOf(app().service(Faulty).failAtOnce(kind));
        const later = await near(kind);
        assert.deepEqual(readFailure(error), { ...readFailure(later), api: "failAtOnce" });
      }
    });

    it("say the same over three hops as over one", async () => {
      for (const kind of throwables.filter((name) => !/details|prototype/.test(name))) {
        assert.deepEqual(readFailure(await far(kind)), readFailure(await near(kind)), kind);
      }
    });

    it("can be caught by a pipeline, which goes on without", async () => {
      assert.equal(await app().entry.degrade("own"), "degraded: not_found no_such_page in Faulty.fail");
      assert.equal(await app().entry.degrade("error"), "degraded: internal unhandled_error in Faulty.fail");
      assert.equal(await app().entry.degrade("undefined"), "degraded: internal unhandled_error in Faulty.fail");
    });
  });

  describe("failures of a stream", () => {
    const torn = { id: "torn_page", code: "data_loss", message: "page 4 is torn", details: { page: 4 } };
    const dry = {
      id: "unhandled_error",
      code: "internal",
      message: "the source is dry",
      details: { error: "the source is dry" },
    };

    for (const after of [0, 3, 40]) {
      for (const [kind, { id, code, message, details }] of [
        ["own", torn],
        ["error", dry],
      ] as const) {
        it(`arrive after the ${after} items before them, over one hop and over three (${kind})`, async () => {
          const input = { after, kind };
          const call = { to: "source", api: "fail", input } as const;
          const streams = [
            app().service(Source).fail(input),
            app().entry.relayItems(call),
            app().entry.rereadItems(call),
          ];
          for (const stream of streams) {
            const { items, error } = await collectFailing(stream);
            assert.deepEqual(
              items,
              Array.from({ length: after }, (_, i) => i),
            );
            const read = readFailure(error);
            assert.deepEqual(
              { id: read.id, code: read.code, message: read.message, details: read.details },
              { id, code, message, details },
            );
            assert.deepEqual([error.service, error.api], ["Source", "fail"]);
          }
        });
      }
    }

    it("reach a reader in the middle, with the items before them", async () => {
      const seen = await app()
        .service(Middle)
        .readItems({ to: "source", api: "fail", input: { after: 3, kind: "own" } });
      assert.deepEqual(seen, { items: [0, 1, 2], error: "torn_page" });
    });

    it("end it: whoever reads on is told that it is over", async () => {
      const stream = app().service(Source).fail({ after: 1, kind: "own" })[Symbol.asyncIterator]();
      assert.deepEqual(await stream.next(), { done: false, value: 0 });
      await failureOf(stream.next());
      assert.equal((await stream.next()).done, true);
    });
  });
}
