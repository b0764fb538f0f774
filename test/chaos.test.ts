import { describe, it } from "node:test";
import { runChaos } from "./chaos/chaos.js";

const skip =
  process.platform === "linux" ? false : "it finds processes and their descriptors in /proc, which only Linux has";

describe("a chain of four services whose replicas are killed", { skip }, () => {
  it("fails no idempotent request, lets nothing hang and leaves nothing behind", async (test) => {
    await runChaos({ seed: 1, storms: [3_000, 2_500, 2_500], print: (line) => test.diagnostic(line) });
  });
});
