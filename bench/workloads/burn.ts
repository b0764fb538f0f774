/** What one run of the model takes, in milliseconds of processor time. */
export const runMs = 10;

/** Keeps the processor busy for the time of one run, without a pause. */
export function burn(x: number): number {
  const end = readOwnMicros() + runMs * 1000;
  let y = x;
  while (readOwnMicros() < end) for (let i = 0; i < 20_000; i++) y = Math.sin(y + i);
  return y;
}

/** Of the process: a model has one of its own. */
function readOwnMicros(): number {
  const { user, system } = process.cpuUsage();
  return user + system;
}
