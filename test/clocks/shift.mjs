// Loaded before anything else of a replica (`--import`): its idea of the time of day is SHIFT_MS away from that of the others,
// as after a suspension, and can be set again at any moment, as by NTP.
const realNow = Date.now;
const RealDate = Date;
const clock = { offsetMs: Number(process.env.SHIFT_MS ?? 0) };
Object.defineProperty(performance, "timeOrigin", { value: performance.timeOrigin + clock.offsetMs });
globalThis.Date = class extends RealDate {
  constructor(...args) {
    super(...(args.length === 0 ? [realNow() + clock.offsetMs] : args));
  }
  static now() {
    return realNow() + clock.offsetMs;
  }
};
globalThis[Symbol.for("test.clock")] = clock;
