import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { GraphFault } from "../failure/failures.js";
import { secret } from "../options/secret.js";
import { cutAppFile, fromPlain, toPlain } from "./plain-options.js";

const plainOf = (value: unknown, env: Readonly<Record<string, string>> = {}) => {
  const faults: GraphFault[] = [];
  return { plain: toPlain(value, "", { env, faults }), faults };
};

describe("options as JSON", () => {
  it("come back as they were, secrets by their names", () => {
    const value = {
      timeoutMs: Number.POSITIVE_INFINITY,
      replicas: { min: 1, max: 2 },
      list: ["a"],
      env: { KEY: secret("KEY") },
    };
    const { plain, faults } = plainOf(value, { KEY: "never written" });
    assert.deepEqual(faults, []);
    const text = JSON.stringify(plain);
    assert.doesNotMatch(text, /never written/);
    assert.deepEqual(fromPlain(JSON.parse(text)), value);
  });

  it("have no functions", () => {
    assert.deepEqual(plainOf({ context: () => 1, port: 1 }).plain, { port: 1 });
  });

  it("refuse a value that was read from the environment", () => {
    const env = { API_KEY: "s3cret-text", HOME: "/home/ada" };
    const { faults } = plainOf({ env: { AUTH: "Bearer s3cret-text", PLACE: "/home/ada" } }, env);
    assert.deepEqual(
      faults.map(({ id, field }) => `${id} ${field}`),
      ["value_of_environment env.AUTH"],
    );
    assert.doesNotMatch(JSON.stringify(faults), /s3cret/);
  });

  it("are cut down to the services of a folder, and never name a prototype", () => {
    const value = { port: 1, replicas: 2, services: { A: { replicas: 3 }, B: {} } };
    assert.deepEqual(cutAppFile(value, ["A"], true), { port: 1, replicas: 2, services: { A: { replicas: 3 } } });
    assert.deepEqual(cutAppFile(value, ["C"], false), { replicas: 2 });
    const hostile = fromPlain(JSON.parse('{"__proto__":{"polluted":1}}')) as object;
    assert.equal((hostile as { polluted?: number }).polluted, undefined);
  });
});
