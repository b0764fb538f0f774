/** Argument of `new ServingError(…)`. */
export interface ServingErrorInit {
  /** One of the sixteen codes; decides the HTTP status. */
  readonly code: Code;
  /** A stable name for this failure, e.g. `"no_such_page"`. Default: the code. */
  readonly id?: string | undefined;
  /** Message: the fact, with its numbers, in one sentence. Reaches the caller unchanged. */
  readonly message: string;
  /** Plain data a caller can act on. Reaches the caller. Default `{}`. */
  readonly details?: Readonly<Record<string, unknown>> | undefined;
  /**
   * True when the same call may succeed if it is made again later; nothing is said about whether it has run. Default:
   * `true` for `unavailable`, `resource_exhausted` and `aborted`.
   */
  readonly retryable?: boolean | undefined;
  /** Cause of the failure. Logged in the process that raised it; never sent. */
  readonly cause?: unknown;
  /** Service in which it happened. Filled in by ekiben when absent. */
  readonly service?: string | undefined;
  readonly api?: string | undefined;
  /** Overrides the status of `code` over HTTP, e.g. 413. */
  readonly httpStatus?: number | undefined;
  /** Instruction that solves the problem. Shown on a terminal and in logs, never sent. */
  readonly fix?: string | undefined;
  /** Id of the log line that holds the stack, for failures whose text is masked at the HTTP edge. */
  readonly incident?: string | undefined;
}

const marker = Symbol.for("ekiben.ServingError");

/**
 * The only error class that is sent from one service to another.
 *
 * Authors throw it. It arrives in the caller as the same class with the same fields, over any number of hops, in any
 * placement, and in `ekiben/client`. Any other thrown value becomes a `ServingError` with code `internal`.
 */
export class ServingError extends Error {
  readonly code: Code;
  readonly id: string;
  readonly details: Readonly<Record<string, unknown>>;
  /** Service in which it was raised; `""` until it leaves one. */
  readonly service: string;
  /** Api in which it was raised; `""` until it leaves one. */
  readonly api: string;
  /**
   * True when the same call may succeed if it is made again later. It does not say that this is safe: the call may have
   * run, as after `replica_lost` and `connection_lost`.
   */
  readonly retryable: boolean;
  readonly httpStatus: number;
  readonly fix: string | undefined;
  readonly incident: string | undefined;

  constructor(init: ServingErrorInit) {
    super(init.message, init.cause === undefined ? undefined : { cause: init.cause });
    this.code = init.code;
    this.id = init.id ?? init.code;
    this.details = init.details ?? {};
    this.service = init.service ?? "";
    this.api = init.api ?? "";
    this.retryable = init.retryable ?? isRetryableCode(init.code);
    this.httpStatus = init.httpStatus ?? statusByCode[init.code];
    this.fix = init.fix;
    this.incident = init.incident;
  }

  /**
   * Makes `error instanceof ServingError` true also for errors of another copy of ekiben. Subclasses keep the usual
   * rule.
   */
  static override [Symbol.hasInstance](value: unknown): boolean {
    // The value may be a proxy whose traps throw: such a value is not a ServingError.
    try {
      if (this !== ServingError) return Function.prototype[Symbol.hasInstance].call(this, value);
      return typeof value === "object" && value !== null && marker in value;
    } catch {
      return false;
    }
  }
}

/**
 * Creates a failure without stack frames. V8 then does not collect them, which would cost more than all the rest.
 *
 * @param stack Stack of another failure that it stands for. Default: its message alone.
 */
export function createWithoutFrames(init: ServingErrorInit, stack?: string): ServingError {
  const { stackTraceLimit } = Error;
  limitFrames(0);
  const error = new ServingError(init);
  limitFrames(stackTraceLimit);
  if (stack !== undefined) error.stack = stack;
  return error;
}

/** Sets the number of frames. Does nothing when `Error` is frozen: failures then have frames. */
function limitFrames(limit: number): void {
  try {
    Error.stackTraceLimit = limit;
  } catch {}
}

Object.defineProperty(ServingError.prototype, "name", { value: "ServingError" });
Object.defineProperty(ServingError.prototype, marker, { value: true });

/** Throws for a state that the invariants of the code rule out. */
export function unreachable(what: string): never {
  throw new ServingError({
    code: "internal",
    id: "unreachable",
    message: `ekiben reached a state it should not: ${what}`,
    fix: "Please report this bug in ekiben, with this message and the stack.",
  });
}

/**
 * The sixteen failure codes and the HTTP status of each.
 *
 * Codes are those of gRPC in snake case; the statuses follow its documented HTTP mapping
 * (https://github.com/grpc/grpc/blob/master/doc/statuscodes.md), with 429 for `resource_exhausted`
 * and 499 for a client that went away.
 */
export const statusByCode = {
  cancelled: 499,
  unknown: 500,
  invalid_argument: 400,
  deadline_exceeded: 504,
  not_found: 404,
  already_exists: 409,
  permission_denied: 403,
  resource_exhausted: 429,
  failed_precondition: 400,
  aborted: 409,
  out_of_range: 400,
  unimplemented: 501,
  internal: 500,
  unavailable: 503,
  data_loss: 500,
  unauthenticated: 401,
} as const;

/** One of the sixteen codes a failure carries, in every placement and over HTTP. */
export type Code = keyof typeof statusByCode;

/** True for codes with which a later call may succeed; the default of `retryable`. */
export function isRetryableCode(code: Code): boolean {
  return code === "unavailable" || code === "resource_exhausted" || code === "aborted";
}

/** True when `value` is one of the sixteen codes. */
export function isCode(value: unknown): value is Code {
  return typeof value === "string" && Object.hasOwn(statusByCode, value);
}
