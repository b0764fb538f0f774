import { row } from "./failure-row.js";

/** What can go wrong on a link between two replicas. */
export const linkFailures = {
  payload_too_large: row<{ bytes: number; maxBytes: number }>({
    code: "resource_exhausted",
    httpStatus: 413,
    retryable: false,
    text: (d) => `the value takes ${d.bytes} bytes, and one frame between services at most ${d.maxBytes}`,
    fix: "Send less at once: split it over several calls, or yield it as a stream of smaller items.",
  }),
  link_full: row<{ bufferedBytes: number; maxBufferedBytes: number }>({
    code: "resource_exhausted",
    hasNoStack: true,
    text: (d) =>
      `the replica reads too slowly: ${d.bufferedBytes} bytes wait to be sent to it, of at most ${d.maxBufferedBytes}; the call was not sent`,
    fix: "Retry with backoff, add replicas, or send smaller values. A replica that computes without a pause can't read.",
  }),
  held_bytes_lost: row<{ path: string; byteLength: number; problem: string }>({
    code: "data_loss",
    text: (d) => `the ${d.byteLength} bytes of a large value can't be read from ${d.path}: ${d.problem}`,
    fix: "Let nothing clean up the folder of temporary files (TMPDIR) and /dev/shm under a running app, or read values that are kept for long when they come.",
  }),
  malformed_frame: row<{ problem: string }>({
    code: "internal",
    text: (d) => `what came over a link between replicas is no frame of the wire: ${d.problem}`,
    fix: "Let nothing else write to the replica's channel. If nothing does, this is a fault in ekiben; please report it.",
  }),
  wire_version: row<{ theirs: number; ours: number }>({
    code: "failed_precondition",
    text: (d) => `the other side of the link speaks version ${d.theirs} of the wire, this side version ${d.ours}`,
    fix: "Run the same version of ekiben on both sides; `npm ls ekiben` shows whether two copies are installed.",
  }),
};
