// Preloaded into each process of the app: shifts its wall clock as a file says, {"<pid>": milliseconds}.
import { readFileSync, statSync } from "node:fs";
import { performance } from "node:perf_hooks";

const file = process.env.HOSTILE_CLOCKS;
const realNow = Date.now;
const RealDate = Date;
const realOrigin = performance.timeOrigin;
let offsetMs = 0;
let readAt = 0;

function readOffset() {
  try {
    const { mtimeMs } = statSync(file);
    if (mtimeMs === readAt) return;
    readAt = mtimeMs;
    offsetMs = JSON.parse(readFileSync(file, "utf8"))[process.pid] ?? 0;
  } catch {
    // The file is not written yet, or no descriptor is left to read it.
  }
}

if (file !== undefined) {
  readOffset();
  setInterval(readOffset, 100).unref();
  Date.now = () => realNow() + offsetMs;
  globalThis.Date = new Proxy(RealDate, {
    construct: (target, args, newTarget) =>
      Reflect.construct(target, args.length === 0 ? [realNow() + offsetMs] : args, newTarget),
  });
  Object.defineProperty(performance, "timeOrigin", { get: () => realOrigin + offsetMs, configurable: true });
}
