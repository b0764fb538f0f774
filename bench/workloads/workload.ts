import assert from "node:assert/strict";

export type WorkloadName = "w1" | "w2" | "w3" | "w6";

/** Requests of a workload for every server, with the right answers. */
export interface Workload {
  readonly title: string;
  readonly route: string;
  /** Bodies, sent in turn under load. */
  readonly bodies: readonly string[];
  /**
   * Request with its right answer; numbers may differ by 2 in 100,000, because sums of float32 depend on their order.
   */
  readonly golden: { readonly body: string; readonly answer: Readonly<Record<string, string | number>> };
}

const fox = "the quick brown fox";
const createBodies = (create: (number: number) => unknown) =>
  Array.from({ length: 16 }, (_, index) => JSON.stringify(create(index + 1)));
const sentence = (number: number) => `request ${number}: ${fox} jumps over the lazy dog and is classified`;

export const workloads: Readonly<Record<WorkloadName, Workload>> = {
  w1: {
    title: "W1, one hop",
    route: "/run",
    bodies: ['{"text":"hello"}'],
    golden: { body: '{"text":"hello"}', answer: { text: "hello" } },
  },
  w2: {
    title: "W2, three hops in a row",
    route: "/predict",
    bodies: createBodies((number) => ({ raw_input: sentence(number) })),
    golden: { body: JSON.stringify({ raw_input: fox }), answer: { label: 1, confidence: 0.30705371 } },
  },
  w3: {
    title: "W3, an ensemble of four hops",
    route: "/run",
    bodies: createBodies((number) => ({ data: sentence(number) })),
    golden: { body: JSON.stringify({ data: fox }), answer: { label: 4, confidence: 0.2130388 } },
  },
  w6: {
    title: "W6, 602 kB there and back",
    route: "/run",
    bodies: createBodies((number) => ({ seed: number })),
    golden: { body: '{"seed":1}', answer: { sum: 150128.256005 } },
  },
};

/** Sends one request. @throws {Error} when the answer is wrong: a wrong server is not measured. */
export async function checkGolden(url: string, { route, golden }: Workload): Promise<void> {
  const headers = { "content-type": "application/json" };
  const response = await fetch(`${url}${route}`, { method: "POST", headers, body: golden.body });
  const text = await response.text();
  assert.equal(response.status, 200, text);
  const answer = JSON.parse(text) as Record<string, unknown>;
  for (const [name, expected] of Object.entries(golden.answer)) {
    const isRight = typeof expected === "number" ? isNear(answer[name], expected) : answer[name] === expected;
    assert.ok(isRight, `${url}${route} answered ${text}, expected ${JSON.stringify(golden.answer)}`);
  }
}

const isNear = (value: unknown, expected: number): boolean =>
  typeof value === "number" && Math.abs(value - expected) <= 2e-5 * Math.max(1, Math.abs(expected));
