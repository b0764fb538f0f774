import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { z } from "zod";
import { api, task } from "./api.js";
import { depends, type ServiceClass } from "./depends.js";
import { compileService } from "./descriptor.js";
import { stream } from "./schema.js";
import { Service } from "./service.js";

const texts = { input: z.string(), output: z.string() };
const faultsOf = (service: ServiceClass) =>
  compileService(service).faults.map(({ id, service, field, message }) => `${id} ${service}.${field}: ${message}`);

describe("faults of interceptors", () => {
  it("name the class and the place in its list, and say what stands there", () => {
    class Model extends Service({ intercept: [(call) => call.next(), "audit" as never] }) {
      say = api(texts, (text) => text);
    }
    class Own extends Service() {
      override readonly intercept = [undefined as never];
    }
    class Single extends Service({ intercept: (() => {}) as never }) {}
    assert.deepEqual(faultsOf(Model), [
      "invalid_interceptor Model.intercept: intercept[1] is a string, not a function",
    ]);
    assert.deepEqual(faultsOf(Own), [
      "invalid_interceptor Own.intercept: intercept[0] is undefined (do two files import each other?), not a function",
    ]);
    assert.deepEqual(faultsOf(Single), [
      "invalid_interceptor Single.intercept: intercept is a function, not a list of functions",
    ]);
    assert.match(compileService(Model).faults[0]?.fix ?? "", /^Give a list of functions/);
  });

  it("of an edge name its field", () => {
    class Model extends Service() {
      say = api(texts, (text) => text);
    }
    class Caller extends Service() {
      model = depends(Model, { intercept: [null as never] });
    }
    assert.deepEqual(faultsOf(Caller), ["invalid_interceptor Caller.model: intercept[0] is null, not a function"]);
  });

  it("are not taken for an api of their name, which has a fault of its own", () => {
    class Model extends Service() {
      // @ts-expect-error an api can't have this name
      override intercept = api(texts, (text) => text);
    }
    assert.deepEqual(
      compileService(Model as never).faults.map(({ id }) => id),
      ["reserved_name"],
    );
  });
});

describe("faults of a cache", () => {
  const cache = { ttlMs: 1000 };

  it("name the api and say why its answers can't be kept", () => {
    class Model extends Service() {
      effects = api({ ...texts, cache }, (text) => text);
      words = api({ input: z.string(), yields: z.string(), idempotent: true, cache }, async function* (text) {
        yield text;
      });
      sum = api({ input: stream(z.string()), output: z.string(), idempotent: true, cache }, () => "");
      train = task({ ...texts, idempotent: true, cache } as typeof texts, (text) => text);
      keyed = api({ ...texts, idempotent: true, cache: { ...cache, key: "tenant" as never } }, (text) => text);
      flag = api({ ...texts, idempotent: true, cache: true as never }, (text) => text);
      good = api({ ...texts, idempotent: true, cache: { ...cache, key: () => "tenant" } }, (text) => text);
    }
    assert.deepEqual(faultsOf(Model), [
      "invalid_cache Model.effects: an api with a cache is not marked idempotent: true, so its calls may have effects",
      "invalid_cache Model.words: an api that yields a stream can't have a cache: its items are never all there",
      "invalid_cache Model.sum: an api that takes a stream can't have a cache: two streams can't be compared",
      "invalid_cache Model.train: a task can't have a cache: give its submissions a key instead, submit(input, { key })",
      "invalid_cache Model.keyed: cache.key is not a function",
      "invalid_cache Model.flag: cache is not an object of options",
    ]);
  });
});
