// Reads thrown values safely: an author may throw anything, and some values throw again when they are read.

/** Most characters of a text that are passed on; longer texts are cut. */
export const maxTextLength = 16 * 1024;

/** Reads a field of a value; `undefined` when it is absent or reading it throws. */
export function readField(value: unknown, key: string): unknown {
  try {
    return (value as Record<string, unknown> | null | undefined)?.[key];
  } catch {
    return undefined;
  }
}

/** Reads a field that is a text, cut at `most` characters, 16 Ki by default; `undefined` for any other field. */
export function readText(value: unknown, key: string, most = maxTextLength): string | undefined {
  const text = readField(value, key);
  return typeof text === "string" ? text.slice(0, most) : undefined;
}

/** Reads a field that is a number or a numeric text; `undefined` for any other field. */
export function readNumber(value: unknown, key: string): number | undefined {
  const field = readField(value, key);
  const number = typeof field === "number" || typeof field === "string" ? Number(field) : Number.NaN;
  return Number.isNaN(number) ? undefined : number;
}

/** True for errors, also of another realm. False for values that can't be inspected, such as a revoked proxy. */
export function isError(value: unknown): value is Error {
  if (typeof value !== "object" || value === null) return false;
  try {
    return value instanceof Error || Object.prototype.toString.call(value) === "[object Error]";
  } catch {
    return false;
  }
}

/**
 * Converts a value to text, cut at 16 Ki characters. Names the kind of values without a text form, such as objects
 * without prototype.
 */
export function textOf(value: unknown): string {
  try {
    return String(value).slice(0, maxTextLength);
  } catch {
    return kindOf(value);
  }
}

function kindOf(value: unknown): string {
  try {
    return Object.prototype.toString.call(value);
  } catch {
    return "[a value that can't be read]";
  }
}

/** Reads the causes of an error, outermost first: at most `most`, and none twice. */
export function readCauses(thrown: unknown, most: number): unknown[] {
  const causes: unknown[] = [];
  for (let error = thrown; isError(error) && causes.length < most; ) {
    const cause = readField(error, "cause");
    if (cause === undefined || cause === thrown || causes.includes(cause)) break;
    causes.push(cause);
    error = cause as Error;
  }
  return causes;
}

const problems: Readonly<Record<string, string>> = {
  EACCES: "this user lacks the permission",
  EPERM: "this user lacks the permission",
  EROFS: "the file system is read-only",
  ENOENT: "there is no such file or folder",
  ENOTDIR: "it is not a folder",
  ENAMETOOLONG: "the path is too long",
  ENOSPC: "no space is left",
  EDQUOT: "this user's disk quota is used up",
  EMFILE: "this process has reached its limit of open files and sockets (ulimit -n)",
  ENFILE: "the machine has reached its limit of open files and sockets",
  EAGAIN: "the limit of processes and threads is reached (ulimit -u, or pids.max of the container)",
  ENOMEM: "no memory is left",
  ECONNREFUSED: "no program listens there any more",
};

/** Formats a system error in words that name the limit: `"EMFILE: this process has reached …"`. */
export function systemProblem(error: unknown): string {
  const { code = "", message = String(error) } = (error ?? {}) as NodeJS.ErrnoException;
  const problem = problems[code];
  return problem === undefined ? message : `${code}: ${problem}`;
}
