import { list, optionText, row, show } from "./failure-row.js";

/** Failures of replicas. */
export const replicaFailures = {
  start_failed: row<{ hook: string; error: string }>({
    code: "unavailable",
    text: (d) => `${d.hook}() threw: ${d.error}`,
    fix: "Fix the cause; the stack is printed above.",
  }),
  resource_failed: row<{ resource: string; error: string }>({
    code: "unavailable",
    text: (d) => `resource ${d.resource} could not be opened: ${d.error}`,
    fix: "Fix the cause; the stack is printed above.",
  }),
  listen_failed: row<{ replica: string; address: string; problem: string }>({
    code: "unavailable",
    text: (d) => `${d.replica} can't be reached by other replicas: it can't listen on ${d.address}: ${d.problem}`,
    fix: "Keep the folder of the app's sockets, in TMPDIR, while the app runs: exclude ekiben-* from cleaners of temporary folders.",
  }),
  start_timeout: row<{ startTimeoutMs: number; from?: string | undefined; blockedMs?: number }>({
    code: "unavailable",
    text: (d) =>
      `start() did not finish within ${d.startTimeoutMs} ms (${optionText("startTimeoutMs", d.from)})${d.blockedMs === undefined ? "" : `; it blocked the event loop for ${d.blockedMs} ms more and was killed`}`,
    fix: "Raise startTimeoutMs, or find out what start() waits for.",
  }),
  load_timeout: row<{ step: string; limitMs: number }>({
    code: "unavailable",
    text: (d) => `${d.step} took longer than ${d.limitMs} ms, and the replica was ended`,
    fix: "Find out what the top level of the service's file, a plugin of the app file, or the start() of an inline service waits for. Move slow work into start(), which startTimeoutMs limits.",
  }),
  start_aborted: row<{ service: string }>({
    code: "cancelled",
    text: (d) => `the start of a replica of ${d.service} was cancelled before it was ready`,
    fix: "Start the app again to use the replica: the app was asked to stop, or to run fewer replicas, while this one was starting.",
  }),
  replica_ended: row<{ replica: string; how: string }>({
    code: "unavailable",
    text: (d) => `replica ${d.replica} ended before it was ready: ${d.how}`,
    fix: "Look in the log for its last lines. A process that is killed while it loads often lacks memory.",
  }),
  service_failed: row<{ service: string; reason: string; attempts: number; retryAfterMs: number }>({
    code: "unavailable",
    text: (d) =>
      `service ${d.service} is down: its replicas failed ${d.attempts} times in a row: ${d.reason}; it is restarted about every ${Math.round(d.retryAfterMs / 1000)} s`,
    fix: "Fix the reason named; the log has more details. restart.giveUpAfter is the number of failures after which a replica is down, restart.slowBackoffMs the wait between restarts then.",
  }),
  entry_gone: row<{ service: string; exitAfterMs: number; reason: string }>({
    code: "unavailable",
    text: (d) =>
      `no replica of the entry service ${d.service} was ready for ${d.exitAfterMs} ms, so the app ended: ${d.reason}`,
    fix: "Fix the reason named; the log has more details. exitAfterMs is the time an app runs without a ready entry replica; 0 is no limit.",
  }),
  entry_not_reached: row<{ service: string; file: string; met: readonly string[]; limitMs: number }>({
    code: "failed_precondition",
    text: (d) =>
      `${d.file}, run again in a replica, called serve() or run() with ${list(d.met)} but not with ${d.service} within ${d.limitMs} ms`,
    fix: "Move the services into a file of their own, which a replica can import, and keep only the calls of serve() and run() in this one.",
  }),
  not_importable: row<{ service: string; files: readonly string[] }>({
    code: "failed_precondition",
    text: (d) =>
      `${d.service} can't be loaded by a process or thread of its own, since no file was found that exports it (looked in: ${list(d.files)})`,
    fix: 'Export it (`export class …`, or `export const … =` for what a function made) from a file that was loaded, outside of tests; and say which file that is: `serve(Class, { from: import.meta.url })` there, or `from: new URL("./service.js", import.meta.url)` elsewhere. Or run it with placement inline.',
  }),
  unknown_service: row<{ service: string; file: string; known: readonly string[] }>({
    code: "failed_precondition",
    text: (d) => `${d.file}, loaded again in a replica, has no service ${d.service}; it has ${list(d.known)}`,
    fix: "Define, export and serve the same services each time the file is loaded; do not choose them by the time, by argv, or by a file that changes. Or move the services into a file of their own that the program imports.",
  }),
  too_few_devices: row<{ service: string; wanted: number; available: number }>({
    code: "failed_precondition",
    text: (d) =>
      `the replicas of all services need ${d.wanted} GPUs and the machine has ${d.available}; no GPU is left for ${d.service}`,
    fix: "Run fewer replicas, let them share with resources.gpu below 1, or name the devices: --gpus 0,1 or EKIBEN_GPUS=0,1.",
  }),
};

/** Failures of links between two replicas. */
export const linkFailures = {
  payload_too_large: row<{ bytes: number; maxBytes: number }>({
    code: "resource_exhausted",
    httpStatus: 413,
    retryable: false,
    text: (d) => `the value takes ${d.bytes} bytes, and one frame between services at most ${d.maxBytes}`,
    fix: "Split the value over several calls, or yield it as a stream of smaller items.",
  }),
  link_full: row<{ bufferedBytes: number; maxBufferedBytes: number }>({
    code: "resource_exhausted",
    hasNoStack: true,
    text: (d) =>
      `the replica reads too slowly: ${d.bufferedBytes} bytes wait to be sent to it, of at most ${d.maxBufferedBytes}; the call was not sent`,
    fix: "Retry with backoff, add replicas, or send smaller values. A replica that computes without a pause can't read its link.",
  }),
  held_bytes_lost: row<{ path: string; byteLength: number; problem: string }>({
    code: "data_loss",
    text: (d) => `the ${d.byteLength} bytes of a large value can't be read from ${d.path}: ${d.problem}`,
    fix: "Make sure that no program cleans the folder of temporary files (TMPDIR) or /dev/shm while the app runs, or read values that are kept for long as soon as they arrive.",
  }),
  malformed_frame: row<{ problem: string }>({
    code: "internal",
    text: (d) => `a link between replicas received an invalid frame: ${d.problem}`,
    fix: "Make sure no other code writes to the replica's channel. If none does, this is a bug in ekiben; please report it.",
  }),
  wire_version: row<{ theirs: number; ours: number }>({
    code: "failed_precondition",
    text: (d) => `the other side of the link speaks version ${d.theirs} of the wire, this side version ${d.ours}`,
    fix: "Run the same version of ekiben on both sides; `npm ls ekiben` shows whether two copies are installed.",
  }),
  contract_differs: row<{ service: string; address: string; changes: readonly ContractChange[] }>({
    code: "failed_precondition",
    httpStatus: 503,
    text: (d) =>
      `${d.service} at ${d.address} was built with another contract, which this app can't live with: ${showChanges(d.changes)}`,
    fix: "Build both sides from sources that fit: `ekiben check --against <build or url>` shows every change, who breaks, and in which order to roll out.",
  }),
  remote_unsecured: row<{ service: string; addresses: readonly string[] }>({
    code: "failed_precondition",
    text: (d) =>
      `${d.service} is to be called at ${list(d.addresses)}, and neither an edge key nor a certificate proves there who calls`,
    fix: "Give both sides the same key: --edge-key-file edge.key. Or give certificates: --tls-cert, --tls-key and --tls-ca.",
  }),
  service_unreachable: row<{ service: string; addresses: readonly string[]; problem: string }>({
    code: "unavailable",
    text: (d) => `${d.service}, which runs at ${list(d.addresses)}, can't be reached: ${d.problem}`,
    fix: "Start it there (`ekiben serve app.ts --service <name> --listen <address>`), check the address in `at`, the network, and that both sides have the same edge key or certificates that fit.",
  }),
};

/** One difference between two contracts of a service that its caller can't live with. */
export interface ContractChange {
  readonly api: string;
  /** Field of the input or the output; `""` for the api itself. */
  readonly field: string;
  /** Types or facts, in words. */
  readonly theirs: string;
  readonly ours: string;
}

/** Changes that a message names. */
const maxChanges = 3;

function showChanges(changes: readonly ContractChange[]): string {
  const shown = changes.slice(0, maxChanges).map(({ api, field, theirs, ours }) => {
    const place = field === "" ? api : `${api}, ${field}`;
    return `${place}: there ${show(theirs)}, here ${show(ours)}`;
  });
  const more = changes.length - shown.length;
  return [...shown, ...(more > 0 ? [`and ${more} more`] : [])].join("; ");
}
