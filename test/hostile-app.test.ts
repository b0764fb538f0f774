import { describe, it } from "node:test";
import { runHostile } from "./hostile/hostile.js";

const skip = process.platform === "linux" ? false : "it finds processes in /proc, which only Linux has";

describe("an app under load that is attacked", { skip }, () => {
  it("loses no process, gives every caller its own answer and leaves nothing behind", async (test) => {
    const print = (line: string) => test.diagnostic(line);
    // Waiting times depend on the machine: `npm run hostile` judges them.
    await runHostile({ seed: 1, rounds: [8_000], stallMs: Number.POSITIVE_INFINITY, print });
  });
});
