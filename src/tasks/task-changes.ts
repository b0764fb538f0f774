/** Sets a field as `otherwise` says, or as `canceled` does where somebody asked the task to end. */
const unlessCanceled = (otherwise: string, canceled: string): string =>
  `CASE WHEN t.cancel_failure IS NULL THEN ${otherwise} ELSE ${canceled} END`;

/** Whether a task whose lease ran out has used up its attempts. */
const isSpent = "t.status = 'in_progress' AND t.attempt >= :maxAttempts";

const isPending = "t.status = 'pending'";
const noLease = "lease_token = NULL, lease_owner = NULL";

/**
 * How a task moves from one state to the next, as `SET` lists of SQL that both engines understand: `t` is its row, `:now`
 * the store's clock. Which rows a change is for, and what it locks, each engine says itself.
 *
 * `wake_at` is when the store must look at a task that nobody can claim now: a pending one whose time has not come, or a
 * running one whose lease runs out. A pending task without it can be claimed.
 */
export const changes = {
  /** The time of a pending task has come, or a lease ran out: it can be claimed again, or it has ended. */
  wake: `
    status = ${unlessCanceled(`CASE WHEN ${isSpent} THEN 'failed' ELSE 'pending' END`, "'canceled'")},
    failure = ${unlessCanceled(`CASE WHEN ${isSpent} THEN :lostFailure ELSE t.failure END`, "t.cancel_failure")},
    ended_at = ${unlessCanceled(`CASE WHEN ${isSpent} THEN :now END`, ":now")},
    wake_at = NULL, ${noLease}`,

  /** @param newToken SQL that gives each row another text. */
  claim: (newToken: string): string => `
    status = 'in_progress', attempt = t.attempt + 1, started_at = :now, wake_at = :now + :leaseMs,
    lease_token = ${newToken}, lease_owner = :owner, progress = NULL, note = NULL, failure = NULL`,

  renew: `
    wake_at = :now + :leaseMs,
    progress = coalesce(:progress, t.progress),
    note = CASE WHEN :progress IS NULL THEN t.note ELSE :note END`,

  finish: `status = :status, failure = :failure, ended_at = :now, wake_at = NULL, ${noLease}`,

  giveBack: `
    status = ${unlessCanceled("'pending'", "'canceled'")},
    failure = ${unlessCanceled(":failure", "t.cancel_failure")},
    ended_at = ${unlessCanceled("NULL", ":now")},
    attempt = t.attempt - :uncounted,
    not_before = :now + :waitMs,
    wake_at = ${unlessCanceled("CASE WHEN :waitMs > 0 THEN :now + :waitMs END", "NULL")},
    ${noLease}`,

  /** Of a pending or running task: ends the one, asks the other to end. */
  cancel: `
    status = CASE WHEN ${isPending} THEN 'canceled' ELSE t.status END,
    failure = CASE WHEN ${isPending} THEN :failure ELSE t.failure END,
    ended_at = CASE WHEN ${isPending} THEN :now END,
    wake_at = CASE WHEN ${isPending} THEN NULL ELSE t.wake_at END,
    cancel_failure = CASE WHEN ${isPending} THEN NULL ELSE coalesce(t.cancel_failure, :failure) END`,
} as const;

/** Can be claimed now. The indexes of both engines have this very condition. */
export const isReady = "status = 'pending' AND wake_at IS NULL";
