import { Cron } from "croner";

/** Fields of the contract of a task that runs by itself. Give one of `every` and `cron`. */
export interface ScheduleOptions {
  /**
   * Time between two runs: milliseconds, or a text such as `"30s"`, `"15m"`, `"6h"`, `"1d"`; at least one second. Runs
   * are planned at its multiples since 1970 in UTC, so `"1h"` runs at each full hour.
   */
  readonly every?: number | string;
  /**
   * Cron expression of the planned times: minute, hour, day of the month, month, day of the week, with seconds before
   * them if there are six fields. `"0 3 * * *"` is each day at 3:00.
   */
  readonly cron?: string;
  /** Time zone of `cron`, such as `"Europe/Rome"`. Default UTC. */
  readonly timeZone?: string;
}

/** Contract of a task, as far as its schedule needs it. */
export interface ScheduledContract extends ScheduleOptions {
  readonly input?: unknown;
  readonly scheduleInput?: unknown;
}

/** Planned times of a task. All times are wall-clock milliseconds. */
export interface Schedule {
  /** Schedule in words: `"every 15m"`, `"cron 0 3 * * * (UTC)"`. */
  readonly text: string;
  /** Returns the newest planned time that is not later than `now`; 0 when there was none. */
  latest(now: number): number;
  /** Returns the first planned time after `now`; `Infinity` when there is none. */
  next(now: number): number;
}

/** Problem of a schedule, with the field of the contract that has it. */
interface ScheduleProblem {
  readonly field: keyof ScheduledContract;
  readonly problem: string;
}

const secondMs = 1_000;
const dayMs = 24 * 3_600_000;
const units: Readonly<Record<string, number>> = { ms: 1, s: secondMs, m: 60_000, h: 3_600_000, d: dayMs };
const longestMs = 365 * dayMs;

/** Reads the schedule of a contract without problems; `undefined` when it has none. */
export function readSchedule(contract: ScheduledContract): Schedule | undefined {
  const { every, cron, timeZone = "UTC" } = contract;
  if (every !== undefined) return createPeriod(readPeriod(every) as number, every);
  return cron === undefined ? undefined : createCron(cron, timeZone);
}

/** Finds what is wrong with the schedule of a task's contract. */
export function findScheduleProblem(contract: ScheduledContract): ScheduleProblem | undefined {
  const { every, cron, timeZone, input } = contract;
  const hasInput = "scheduleInput" in contract;
  if (every === undefined && cron === undefined) {
    const loose = timeZone !== undefined ? "timeZone" : hasInput ? "scheduleInput" : undefined;
    return loose && { field: loose, problem: `${loose} has no effect without every or cron` };
  }
  if (every !== undefined && cron !== undefined) {
    return { field: "cron", problem: "a task has either every or cron, not both" };
  }
  if (input !== undefined && !hasInput) {
    const problem = "a task that runs by a schedule and has an input needs scheduleInput, the input of these runs";
    return { field: "scheduleInput", problem };
  }
  if (input === undefined && hasInput) {
    return { field: "scheduleInput", problem: "scheduleInput is of no use: the task takes no input" };
  }
  if (every !== undefined) {
    if (timeZone !== undefined) return { field: "timeZone", problem: "timeZone has no effect on every, only on cron" };
    const problem = `every is ${JSON.stringify(every)}; expected 1s to 365d, as "90s", "15m", "6h", "1d" or milliseconds`;
    return readPeriod(every) === undefined ? { field: "every", problem } : undefined;
  }
  return findCronProblem(cron, timeZone);
}

function findCronProblem(cron: unknown, timeZone: unknown = "UTC"): ScheduleProblem | undefined {
  try {
    new Intl.DateTimeFormat("en", { timeZone: timeZone as string });
  } catch {
    return { field: "timeZone", problem: `there is no time zone ${JSON.stringify(timeZone)}` };
  }
  const refuse = (problem: string): ScheduleProblem => ({
    field: "cron",
    problem: `cron is ${JSON.stringify(cron)}: ${problem}`,
  });
  if (typeof cron !== "string") return refuse("expected a text");
  const fields = cron.trim().split(/\s+/).length;
  if (fields !== 5 && fields !== 6) return refuse(`it has ${fields} ${fields === 1 ? "field" : "fields"}, not 5 or 6`);
  try {
    const isEver = Number.isFinite(createCron(cron, timeZone as string).next(Date.now()));
    return isEver ? undefined : refuse("no such time ever comes");
  } catch (error) {
    return refuse((error as Error).message);
  }
}

/** Reads a period in milliseconds; `undefined` for an invalid one. */
function readPeriod(every: unknown): number | undefined {
  const [, count, unit = ""] = typeof every === "string" ? (/^(\d{1,9})(ms|s|m|h|d)$/.exec(every) ?? []) : [];
  const periodMs = count === undefined ? every : Number(count) * (units[unit] as number);
  if (typeof periodMs !== "number" || !Number.isSafeInteger(periodMs)) return undefined;
  return periodMs >= secondMs && periodMs <= longestMs ? periodMs : undefined;
}

function createPeriod(periodMs: number, every: number | string): Schedule {
  const latest = (now: number) => Math.floor(now / periodMs) * periodMs;
  return {
    text: `every ${typeof every === "number" ? `${every} ms` : every}`,
    latest,
    next: (now) => latest(now) + periodMs,
  };
}

/** Spans in which the newest planned time is searched, the shortest first. The last has each February 29. */
const spansMs: readonly number[] = [60_000, 3_600_000, dayMs, 32 * dayMs, 366 * dayMs, 9 * 366 * dayMs];

function createCron(cron: string, timeZone: string): Schedule {
  const times = new Cron(cron.trim(), { timezone: timeZone, paused: true });
  const next = (now: number) => times.nextRun(new Date(now))?.getTime() ?? Number.POSITIVE_INFINITY;
  return {
    text: `cron ${cron.trim()} (${timeZone})`,
    next,
    latest(now) {
      for (const spanMs of spansMs) {
        if (next(now - spanMs) > now) continue;
        // Planned times are whole seconds, so the last one not later than `now` is within a second after `from`.
        let from = now - spanMs;
        for (let to = now; to - from > secondMs; ) {
          const middle = from + Math.floor((to - from) / 2);
          if (next(middle) <= now) from = middle;
          else to = middle;
        }
        return next(from);
      }
      return 0;
    },
  };
}
