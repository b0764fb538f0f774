// Loaded with each test file: ends its process when it runs long after its last test must have ended. A test that has
// timed out may still be in a loop, and would block the whole suite forever.
import { isMainThread } from "node:worker_threads";

/** Twice the limit of one test; the slowest files take one minute. */
const limitMs = 360_000;

if (isMainThread && process.env["NODE_TEST_CONTEXT"] !== undefined) {
  const file = process.argv[1];
  setTimeout(() => {
    process.stderr.write(`${file} still runs after ${limitMs / 1000} s: a test that timed out goes on\n`, () =>
      process.exit(1),
    );
  }, limitMs).unref();
}
