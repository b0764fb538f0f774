// Preloaded into a replica (`--import`): shifts its time of day by SHIFT_MS against the other processes, as after a
// suspension. The time can be set again at any moment, as by NTP.
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
