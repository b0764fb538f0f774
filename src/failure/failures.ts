import type { Code } from "./codes.js";

/** One row of the failure table. `D` is what its text names; it is also what the caller gets as `details`. */
export interface FailureRow<D> {
  readonly code: Code;
  /** What happened, with the numbers. */
  readonly text: (details: D) => string;
  /** What to do about it. */
  readonly fix: string;
  /** HTTP status where it is not the one of `code`. */
  readonly httpStatus?: number;
  /** Default: by code. */
  readonly retryable?: boolean;
}

const row = <D>(definition: FailureRow<D>): FailureRow<D> => definition;
const didYouMean = (name: string | undefined): string => (name === undefined ? "" : `; did you mean ${name}?`);
const list = (names: readonly string[]): string => (names.length === 0 ? "none" : names.join(", "));

/** One thing a schema found wrong. `path` is e.g. `"lines[2].text"`; `""` is the value itself. */
export interface Issue {
  readonly path: string;
  readonly message: string;
}

const issueText = (what: string, issues: readonly Issue[]): string =>
  issues.map((issue) => `${issue.path === "" ? what : issue.path}: ${issue.message}`).join("; ");

/** One fault of a graph: which row, where, and what to do. */
export interface GraphFault {
  readonly id: string;
  readonly service: string;
  /** Class field or option; `""` where the class itself is at fault. */
  readonly field: string;
  readonly message: string;
  readonly fix: string;
}

/** `"Model.predict"`; one of the two alone where the fault has no service, or is the class itself. */
const placeOf = ({ service, field }: GraphFault): string => [service, field].filter((part) => part !== "").join(".");

/** What an author's code got wrong, found before anything starts. */
const definitionFailures = {
  invalid_graph: row<{ faults: readonly GraphFault[] }>({
    code: "failed_precondition",
    text: (d) =>
      `the graph has ${d.faults.length} fault${d.faults.length === 1 ? "" : "s"}:\n${d.faults
        .map((f) => `  ${placeOf(f)}: ${f.message}\n    fix: ${f.fix}`)
        .join("\n")}`,
    fix: "Mend every fault listed; all of them were looked for at once.",
  }),
  cycle: row<{ path: readonly string[] }>({
    code: "failed_precondition",
    text: (d) => `services depend on one another in a circle: ${d.path.join(" -> ")}`,
    fix: "Remove one of these depends() fields, or move the shared part into a service of its own that both depend on.",
  }),
  duplicate_service_name: row<{ name: string }>({
    code: "failed_precondition",
    text: (d) => `two different classes are both named ${d.name}`,
    fix: 'Rename one class, or give it a name of its own: Service({ name: "…" }).',
  }),
  unknown_option: row<{ option: string; source: string; nearest?: string | undefined }>({
    code: "failed_precondition",
    text: (d) => `there is no option ${d.option} (${d.source})${didYouMean(d.nearest)}`,
    fix: "Use one of the options listed by `ekiben options`, spelt as there.",
  }),
  misplaced_option: row<{ option: string; source: string; allowed: string }>({
    code: "failed_precondition",
    text: (d) => `option ${d.option} can't be set there (${d.source}); it may be set by: ${d.allowed}`,
    fix: "Move it to one of the places named.",
  }),
  unused_option: row<{ option: string; source: string; entry: string }>({
    code: "failed_precondition",
    text: (d) =>
      `option ${d.option} has no effect there (${d.source}): only that of the entry service, ${d.entry}, is read`,
    fix: "Set it on the entry service or in the app file.",
  }),
  unknown_target: row<{
    what: string;
    target: string;
    source: string;
    known: readonly string[];
    nearest?: string | undefined;
  }>({
    code: "failed_precondition",
    text: (d) =>
      `there is no ${d.what} ${d.target} in the graph (${d.source})${didYouMean(d.nearest)}; there are ${list(d.known)}`,
    fix: "Use a name that `ekiben graph` shows.",
  }),
  unknown_variable: row<{ variable: string; nearest?: string | undefined }>({
    code: "failed_precondition",
    text: (d) => `no option is set by the environment variable ${d.variable}${didYouMean(d.nearest)}`,
    fix: "Rename or remove it; `ekiben serve --help` lists the variables.",
  }),
  invalid_option: row<{ option: string; value: unknown; expected: string; source: string }>({
    code: "failed_precondition",
    text: (d) =>
      `${d.option === "" ? "it" : `option ${d.option}`} is ${show(d.value)} (${d.source}); expected ${d.expected}`,
    fix: "Give a value in the range stated.",
  }),
  reserved_name: row<{ name: string }>({
    code: "failed_precondition",
    text: (d) => `${d.name} is a lifecycle hook of every service and can't be the name of an api or a dependency`,
    fix: "Rename the field.",
  }),
  invalid_contract: row<{ problem: string }>({
    code: "failed_precondition",
    text: (d) => d.problem,
    fix: "A contract has `output` or `yields`, may have `input`, and each is a Standard Schema (such as zod's) or an object of them.",
  }),
  invalid_example: row<{ index: number; problem: string }>({
    code: "failed_precondition",
    text: (d) => `example ${d.index} does not fit the input schema: ${d.problem}`,
    fix: "Mend the example in the contract, or the schema.",
  }),
  duplicate_route: row<{ route: string; apis: readonly string[] }>({
    code: "failed_precondition",
    text: (d) => `route ${d.route} is used by ${d.apis.join(" and ")}`,
    fix: "Give each api a route of its own; the probes, /metrics, /openapi.json, /schema.json and /docs are taken.",
  }),
  not_a_service: row<{ what: string }>({
    code: "failed_precondition",
    text: (d) => `${d.what} is not a service`,
    fix: "Give a class that extends Service().",
  }),
  constructor_failed: row<{ error: string }>({
    code: "failed_precondition",
    text: (d) => `constructing it threw: ${d.error}`,
    fix: "Constructors and field initialisers only wire; load models and open files in start().",
  }),
  entry_not_found: row<{ file: string; wanted: string; exported: readonly string[] }>({
    code: "not_found",
    text: (d) => `${d.file} exports no service ${d.wanted}; it exports ${list(d.exported)}`,
    fix: "Name an exported service after the colon, e.g. service.ts:Pipeline.",
  }),
  entry_ambiguous: row<{ file: string; candidates: readonly string[] }>({
    code: "failed_precondition",
    text: (d) =>
      d.candidates.length === 0
        ? `${d.file} exports no service`
        : `${d.file} exports ${d.candidates.length} services that no other depends on: ${d.candidates.join(", ")}`,
    fix: "Name one after the colon (service.ts:Pipeline), or make it the default export.",
  }),
  depends_outside_scope: row<{ dependency: string }>({
    code: "failed_precondition",
    text: (d) => `depends(${d.dependency}) ran outside a graph: the class was made with \`new\``,
    fix: 'A service with dependencies is made by a graph: in a test `await compose(Class)` from "ekiben/testing", in a program `await serve(Class)`.',
  }),
  handle_before_start: row<{ dependency: string; api: string }>({
    code: "failed_precondition",
    text: (d) => `${d.dependency}.${d.api} was called while the graph is still being wired`,
    fix: "Constructors and field initialisers only wire; call dependencies in start() or in an api.",
  }),
  no_current_call: row<Record<never, never>>({
    code: "failed_precondition",
    text: () => "currentCall() was used where no api is running",
    fix: "Call it inside an api's function, or in what that function awaits.",
  }),
};

/** What can go wrong between a caller and an api. */
const callFailures = {
  invalid_input: row<{ issues: readonly Issue[] }>({
    code: "invalid_argument",
    text: (d) => issueText("input", d.issues),
    fix: "Send a value that fits the api's input schema (see /schema.json).",
  }),
  invalid_output: row<{ issues: readonly Issue[] }>({
    code: "internal",
    text: (d) => `the api returned a value that its own contract does not allow: ${issueText("output", d.issues)}`,
    fix: "Return what the contract's output says, or mend the contract.",
  }),
  not_transferable: row<{ path: string; what: string }>({
    code: "invalid_argument",
    text: (d) => `${d.path} is ${d.what}, which can't cross from one service to another`,
    fix: "Pass plain data: JSON values, Uint8Array, Tensor, Blob, File, Date, bigint, Map, Set.",
  }),
  output_not_transferable: row<{ path: string; what: string }>({
    code: "internal",
    text: (d) => `${d.path} is ${d.what}, which can't cross from one service to another`,
    fix: "Return plain data: JSON values, Uint8Array, Tensor, Blob, File, Date, bigint, Map, Set.",
  }),
  not_replaced: row<{ service: string; api: string }>({
    code: "unimplemented",
    text: (d) => `the fake of ${d.service} that this test gave has no ${d.api}`,
    fix: "Add the function to the object given in compose(…, { replace }).",
  }),
  unhandled_error: row<{ error: string }>({
    code: "internal",
    text: (d) => d.error,
    fix: "See the log line with this incident id for the stack. To tell callers what happened, throw a ServingError.",
  }),
  deadline_exceeded: row<{ timeoutMs: number; waitingFor: readonly string[] }>({
    code: "deadline_exceeded",
    text: (d) => `no answer within ${Math.round(d.timeoutMs)} ms; still waiting for ${list(d.waitingFor)}`,
    fix: "Raise timeoutMs, or see in /metrics which edge takes the time.",
  }),
  cancelled: row<{ reason: string }>({
    code: "cancelled",
    text: (d) => `the call was cancelled: ${d.reason}`,
    fix: "Nothing waits for this answer. Work that should outlive its caller uses the call option { detach: true }.",
  }),
  lane_full: row<{ running: number; queued: number; maxQueued: number; retryAfterMs: number }>({
    code: "resource_exhausted",
    text: (d) => `the lane runs ${d.running} calls and holds ${d.queued} more (maxQueued ${d.maxQueued})`,
    fix: "Retry with backoff, add replicas, or raise maxConcurrent or maxQueued.",
  }),
  no_ready_replica: row<{ replicas: number }>({
    code: "unavailable",
    text: (d) => `none of its ${d.replicas} replicas is ready`,
    fix: "See the log and /readyz for why; the call may be retried.",
  }),
  replica_lost: row<{ replica: string }>({
    code: "unavailable",
    text: (d) => `replica ${d.replica} was lost while the call was on it`,
    fix: "The call may have run. Retry it if that does no harm.",
  }),
  draining: row<{ what: string }>({
    code: "unavailable",
    text: (d) => `${d.what} is shutting down and takes no new calls`,
    fix: "Retry against another instance.",
  }),
  unknown_api: row<{ name: string; known: readonly string[] }>({
    code: "unimplemented",
    text: (d) => `there is no api ${d.name}; there are ${list(d.known)}`,
    fix: "Check the spelling against /schema.json; caller and callee may be of different versions.",
  }),
  start_failed: row<{ hook: string; error: string }>({
    code: "unavailable",
    text: (d) => `${d.hook}() threw: ${d.error}`,
    fix: "Mend the cause; the stack is printed above.",
  }),
  start_timeout: row<{ startTimeoutMs: number }>({
    code: "unavailable",
    text: (d) => `start() did not finish within ${d.startTimeoutMs} ms`,
    fix: "Raise startTimeoutMs, or see what start() waits for.",
  }),
  injected_failure: row<{ reason: string }>({
    code: "unavailable",
    text: (d) => d.reason,
    fix: "A test asked for this failure with app.fail().",
  }),
};

/** What a request over HTTP can get wrong. */
const httpFailures = {
  unknown_route: row<{ method: string; path: string; known: readonly string[] }>({
    code: "not_found",
    text: (d) => `there is nothing at ${d.method} ${d.path}; apis: ${list(d.known)}`,
    fix: "See /docs or /openapi.json for what is served.",
  }),
  method_not_allowed: row<{ method: string; path: string; allow: string }>({
    code: "unimplemented",
    httpStatus: 405,
    text: (d) => `${d.path} answers ${d.allow}, not ${d.method}`,
    fix: "Use the method named.",
  }),
  invalid_json: row<{ problem: string }>({
    code: "invalid_argument",
    text: (d) => `the body is not JSON: ${d.problem}`,
    fix: "Send valid JSON. NaN, Infinity, comments and trailing commas are not JSON.",
  }),
  forbidden_key: row<{ key: string }>({
    code: "invalid_argument",
    text: (d) => `the body has a key ${d.key}, which is refused everywhere`,
    fix: "Rename the key.",
  }),
  body_too_deep: row<{ maxBodyDepth: number }>({
    code: "invalid_argument",
    text: (d) => `the body is nested more than ${d.maxBodyDepth} levels deep`,
    fix: "Send a flatter value.",
  }),
  body_too_large: row<{ maxBodyBytes: number }>({
    code: "out_of_range",
    httpStatus: 413,
    text: (d) => `the body is larger than ${d.maxBodyBytes} bytes`,
    fix: "Send less, or raise http.maxBodyBytes.",
  }),
  body_timeout: row<{ timeoutMs: number }>({
    code: "deadline_exceeded",
    httpStatus: 408,
    text: (d) => `the body did not arrive within ${d.timeoutMs} ms`,
    fix: "Send the body at once, or raise http.bodyTimeoutMs.",
  }),
  header_too_large: row<{ maxHeaderBytes: number }>({
    code: "out_of_range",
    httpStatus: 431,
    text: (d) => `the request line and headers are larger than ${d.maxHeaderBytes} bytes`,
    fix: "Send fewer or shorter headers, or raise http.maxHeaderBytes.",
  }),
  header_timeout: row<{ timeoutMs: number }>({
    code: "deadline_exceeded",
    httpStatus: 408,
    text: (d) => `the headers did not arrive within ${d.timeoutMs} ms`,
    fix: "Send the request line and headers at once.",
  }),
  malformed_request: row<{ problem: string }>({
    code: "invalid_argument",
    text: (d) => `the request is not valid HTTP: ${d.problem}`,
    fix: "Use an HTTP/1.1 client, and percent-encode paths.",
  }),
  missing_body: row<Record<never, never>>({
    code: "invalid_argument",
    text: () => "the request has no body and this api takes an input",
    fix: "Send the input as the body, with its content-type.",
  }),
  unsupported_media_type: row<{ contentType: string; accepted: readonly string[] }>({
    code: "invalid_argument",
    httpStatus: 415,
    text: (d) =>
      `content-type ${d.contentType === "" ? "is missing" : d.contentType}; this api takes ${list(d.accepted)}`,
    fix: "Name the body's type, e.g. -H 'content-type: application/json' with curl.",
  }),
  not_acceptable: row<{ accept: string; offered: readonly string[] }>({
    code: "invalid_argument",
    httpStatus: 406,
    text: (d) => `accept: ${d.accept} fits none of what this api answers with: ${list(d.offered)}`,
    fix: "Ask for one of these, or send no accept header.",
  }),
  invalid_header: row<{ header: string; value: string; expected: string }>({
    code: "invalid_argument",
    text: (d) => `header ${d.header} is ${show(d.value)}; expected ${d.expected}`,
    fix: "Mend or leave out the header.",
  }),
  invalid_multipart: row<{ problem: string }>({
    code: "invalid_argument",
    text: (d) => `the multipart body can't be read: ${d.problem}`,
    fix: "Send one part for each field: files as files, other fields as JSON or text.",
  }),
  invalid_npy: row<{ problem: string }>({
    code: "invalid_argument",
    text: (d) => `the .npy body can't be read: ${d.problem}`,
    fix: "Send what numpy.save() writes for a little-endian, C-ordered array of a supported dtype.",
  }),
  not_json: row<{ path: string; what: string }>({
    code: "internal",
    text: (d) => `the answer can't be written as JSON: ${d.path} is ${d.what}`,
    fix: "Return finite numbers and plain data, or let callers ask for .npy with accept: application/x-npy.",
  }),
};

/** What the command line and a program that embeds ekiben can meet. */
const hostFailures = {
  unknown_command: row<{ command: string; known: readonly string[]; nearest?: string | undefined }>({
    code: "invalid_argument",
    text: (d) => `there is no command ${d.command}${didYouMean(d.nearest)}; there are ${list(d.known)}`,
    fix: "Run `ekiben --help`.",
  }),
  invalid_flag: row<{ problem: string }>({
    code: "invalid_argument",
    text: (d) => d.problem,
    fix: "Run the command with --help to see its flags.",
  }),
  file_not_found: row<{ file: string }>({
    code: "not_found",
    text: (d) => `there is no file ${d.file}`,
    fix: "Name the file that exports the service: ekiben serve path/to/service.ts",
  }),
  module_failed: row<{ file: string; error: string }>({
    code: "failed_precondition",
    text: (d) => `${d.file} could not be loaded: ${d.error}`,
    fix: "Mend the file, or install what it imports.",
  }),
  not_a_module: row<{ file: string; packageFile: string }>({
    code: "failed_precondition",
    text: (d) => `${d.file} would be loaded as CommonJS, since ${d.packageFile} does not say "type": "module"`,
    fix: "Run `npm pkg set type=module`, or name the file .mts.",
  }),
  typescript_needs_loader: row<{ file: string; node: string }>({
    code: "failed_precondition",
    text: (d) => `${d.file} is TypeScript and Node ${d.node} can't run it by itself`,
    fix: "npm install --save-dev tsx, or use Node 22.18 or newer.",
  }),
  port_in_use: row<{ host: string; port: number }>({
    code: "unavailable",
    text: (d) => `port ${d.port} on ${d.host} is already in use`,
    fix: "Stop the other program, or choose a port: --port 3001 (0 takes a free one).",
  }),
  connect_failed: row<{ url: string; problem: string }>({
    code: "unavailable",
    text: (d) => `${d.url} could not be reached: ${d.problem}`,
    fix: "Check that the server runs and that the URL is right.",
  }),
  invalid_response: row<{ url: string; problem: string }>({
    code: "data_loss",
    text: (d) => `${d.url} answered with something that is not ekiben's: ${d.problem}`,
    fix: "Check that the URL is that of an ekiben server and that no proxy changes its answers.",
  }),
};

/** Every failure ekiben itself can raise. Ids are public API: they are never renamed or reused. */
export const failures = { ...definitionFailures, ...callFailures, ...httpFailures, ...hostFailures };

/** The id of a row of the failure table. */
export type FailureId = keyof typeof failures;

/** A value as it may stand in a message: short, and never the whole of something large. */
function show(value: unknown): string {
  const text = typeof value === "string" ? JSON.stringify(value) : (JSON.stringify(value) ?? String(value));
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}
