/** Returns the milliseconds since the machine started: the same in all of its processes. */
export const readMachineClock = (): number => Number(process.hrtime.bigint()) / 1e6;
