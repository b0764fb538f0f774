import {
  type CopyPlace,
  didYouMean,
  type GraphFault,
  list,
  placeOf,
  row,
  show,
  showCopy,
  versionsText,
} from "./failure-row.js";

/** Faults of an author's code and options, found before anything starts. */
export const definitionFailures = {
  invalid_graph: row<{ faults: readonly GraphFault[] }>({
    code: "failed_precondition",
    text: (d) =>
      `the graph has ${d.faults.length} fault${d.faults.length === 1 ? "" : "s"}:\n${d.faults
        .map((f) => `  ${placeOf(f)}: ${f.message}\n    fix: ${f.fix}`)
        .join("\n")}`,
    fix: "Fix every fault listed; these are all faults of the graph.",
  }),
  cycle: row<{ path: readonly string[] }>({
    code: "failed_precondition",
    text: (d) => `services depend on one another in a circle: ${d.path.join(" -> ")}`,
    fix: "Remove one of these depends() fields, or move the shared part into a service of its own that both depend on.",
  }),
  duplicate_service_name: row<{ name: string; classes: readonly string[] }>({
    code: "failed_precondition",
    text: (d) => `${d.classes.length} different classes (${list(d.classes)}) are all services named ${d.name}`,
    fix: 'Rename one class, or give it a name of its own: Service({ name: "…" }). A name given to a base class applies to every class that extends it: remove it there. A package that is installed twice also gives two classes of one name.',
  }),
  unknown_option: row<{ option: string; source: string; nearest?: string | undefined }>({
    code: "failed_precondition",
    text: (d) => `there is no option ${d.option} (${d.source})${didYouMean(d.nearest)}`,
    fix: "Use an option name that `ekiben options` lists.",
  }),
  renamed_option: row<{ former: string; now: string; source: string }>({
    code: "failed_precondition",
    text: (d) => `${d.former} (${d.source}) was renamed to ${d.now}`,
    fix: "Use the new name.",
    fixFor: (d) => `Rename it to ${d.now}; \`ekiben options\` shows the values it takes.`,
  }),
  misplaced_option: row<{ option: string; source: string; allowed: string }>({
    code: "failed_precondition",
    text: (d) => `option ${d.option} can't be set there (${d.source}); it may be set by: ${d.allowed}`,
    fix: "Move it to one of the sources named.",
  }),
  unused_option: row<{ option: string; source: string; entry: string }>({
    code: "failed_precondition",
    text: (d) =>
      `option ${d.option} has no effect there (${d.source}): only the one of the entry service, ${d.entry}, is read`,
    fix: "Set it on the entry service or in the app file.",
  }),
  weaker_option: row<{ option: string; value: string; source: string; exempt: readonly string[] }>({
    code: "failed_precondition",
    text: (d) =>
      `${d.option} of ${d.value} (${d.source}) is the default of the whole app, and does not apply to ${list(d.exempt)}`,
    fix: "Make no change if that is meant. To set it for them too, name the service or the api: --timeout-ms Model.predict=500, or services.Model in the app file.",
  }),
  group_devices_differ: row<{ group: string; services: readonly string[] }>({
    code: "failed_precondition",
    text: (d) =>
      `${d.services.join(" and ")} share the processes of group ${d.group} and each ask for GPUs, but a process sees the GPUs of one service only`,
    fix: 'Take one of them out of the group (group: "none"), or move all GPU work into one service.',
  }),
  group_env_differs: row<{ group: string; variable: string; services: readonly string[] }>({
    code: "failed_precondition",
    text: (d) =>
      `${d.services.join(" and ")} share the processes of group ${d.group} and set ${d.variable} to different values`,
    fix: 'Give both the same value, or take one of them out of the group (group: "none").',
  }),
  group_not_shared: row<{ service: string; group: string; placement: string }>({
    code: "failed_precondition",
    text: (d) => `${d.service} is placed ${d.placement}, so its group ${d.group} has no effect: groups share processes`,
    fix: 'Remove the group, or place the service with placement: "process".',
  }),
  group_memory_unbound: row<{ service: string; group: string; unbound: readonly string[] }>({
    code: "failed_precondition",
    text: (d) =>
      `resources.memory of ${d.service} has no effect in group ${d.group}: ${list(d.unbound)}, in the same processes, has no limit`,
    fix: "Set resources.memory of every service of the group; a process may use their sum.",
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
    text: (d) => `the environment variable ${d.variable} sets no option${didYouMean(d.nearest)}`,
    fix: "Rename or remove it; `ekiben serve --help` lists the variables.",
  }),
  invalid_option: row<{ option: string; value: unknown; expected: string; source: string }>({
    code: "failed_precondition",
    text: (d) =>
      `${d.option === "" ? "it" : `option ${d.option}`} is ${show(d.value)} (${d.source}); expected ${d.expected}`,
    fix: "Give a value in the range stated.",
  }),
  invalid_schedule: row<{ problem: string }>({
    code: "failed_precondition",
    text: (d) => d.problem,
    fix: 'Give a task every: "15m" (ms, s, m, h or d) or cron: "0 3 * * *", with timeZone: "Europe/Rome" if it matters, and scheduleInput where it has an input.',
  }),
  reserved_name: row<{ name: string }>({
    code: "failed_precondition",
    text: (d) =>
      d.name === "then"
        ? "an object with a method `then` acts as a promise, so then can't be the name of an api, a dependency or a resource: await would call it"
        : `${d.name} ${d.name === "intercept" ? "holds the interceptors" : "is a lifecycle hook"} of every service and can't be the name of an api, a dependency or a resource`,
    fix: "Rename the field.",
  }),
  reserved_service_name: row<{ name: string; meaning: string }>({
    code: "failed_precondition",
    text: (d) => `${d.name} can't be the name of a service: as the name of a caller it means ${d.meaning}`,
    fix: 'Rename the class, or give the service another name: Service({ name: "http-model" }).',
  }),
  invalid_name: row<{ what: "service" | "api"; name: string }>({
    code: "failed_precondition",
    text: (d) =>
      d.name === ""
        ? `the class of the ${d.what} has no name`
        : `${show(d.name)} can't be the name of ${d.what === "api" ? "an api" : "a service"}: flags and variables could not name it`,
    fix: 'Use letters of any script, digits, _, $ and -: `class Model extends Service()`, or Service({ name: "model-2" }).',
  }),
  invalid_route: row<{ route: string }>({
    code: "failed_precondition",
    text: (d) => `route ${show(d.route)} is not a plain path that begins with /`,
    fix: 'Give the api a route of ASCII letters, digits, -, ., _, ~ and /: api({ route: "/name", … }). Without `route` the name of the api is its route.',
  }),
  invalid_contract: row<{ problem: string }>({
    code: "failed_precondition",
    text: (d) => d.problem,
    fix: "A contract has `output` or `yields` (`output: stream(x)` means the same as `yields: x`), may have `input`, and each is a Standard Schema (such as zod's) or an object of them. With `batch`, input and output are arrays, tensors whose first axis has a name, or objects of these.",
  }),
  invalid_interceptor: row<{ problem: string }>({
    code: "failed_precondition",
    text: (d) => d.problem,
    fix: "Give a list of functions, each of which returns the answer: `intercept: [async (call) => call.next()]`. A function whose import is still empty is often part of a circle of imports: move it into a file of its own.",
  }),
  invalid_cache: row<{ problem: string }>({
    code: "failed_precondition",
    text: (d) => d.problem,
    fix: "A cache is for an api that gives one answer, the same for the same input: `api({ input, output, idempotent: true, cache: { ttlMs: 60_000 } }, …)`. Declare that, or remove `cache`.",
  }),
  invalid_example: row<{ index: number; problem: string }>({
    code: "failed_precondition",
    text: (d) => `example ${d.index} does not fit the input schema: ${d.problem}`,
    fix: "Fix the example in the contract, or the schema.",
  }),
  duplicate_route: row<{ route: string; apis: readonly string[] }>({
    code: "failed_precondition",
    text: (d) => `route ${d.route} is used by ${d.apis.join(" and ")}`,
    fix: "Give each api a route of its own; the routes of the probes, /metrics, /openapi.json, /schema.json and /docs are taken.",
  }),
  not_a_service: row<{ what: string }>({
    code: "failed_precondition",
    text: (d) => `${d.what} is not a service`,
    fix: "Give a class that extends Service().",
  }),
  two_copies: row<{ own: CopyPlace; other: CopyPlace | undefined }>({
    code: "failed_precondition",
    text: (d) =>
      `it was made with another copy of ekiben, ${d.other === undefined ? "of an older version" : showCopy(d.other)}, than the app, ${showCopy(d.own)}`,
    fix: "Make all packages use one copy: `npm ls ekiben` shows the copy of each. Give every package the same version range and run `npm dedupe`; declare ekiben as a peerDependency in packages that only define services.",
  }),
  constructor_failed: row<{ error: string }>({
    code: "failed_precondition",
    text: (d) => `constructing it threw: ${d.error}`,
    fix: "Load models and open files in start(); constructors and field initialisers only connect services.",
  }),
  entry_not_found: row<{ file: string; wanted: string; exported: readonly string[] }>({
    code: "not_found",
    text: (d) => `${d.file} exports no service ${d.wanted}; it exports ${list(d.exported)}`,
    fix: "Name an exported service after the colon, for example service.ts:Pipeline.",
  }),
  entry_ambiguous: row<{ file: string; candidates: readonly string[] }>({
    code: "failed_precondition",
    text: (d) =>
      d.candidates.length === 0
        ? `${d.file} exports no service`
        : `${d.file} exports ${d.candidates.length} services that no other depends on: ${d.candidates.join(", ")}`,
    fix: "Name one after the colon (service.ts:Pipeline), or make it the default export.",
  }),
  depends_outside_scope: row<{ dependency: string; versions: readonly string[] }>({
    code: "failed_precondition",
    text: (d) =>
      `depends(${d.dependency}) ran outside a graph: the class was made with \`new\`${versionsText(d.versions)}`,
    fix: 'Let a graph make a service with dependencies: in a test `await compose(Class)` from "ekiben/testing", in a program `await serve(Class)`.',
  }),
  handle_before_start: row<{ dependency: string; api: string }>({
    code: "failed_precondition",
    text: (d) => `${d.dependency}.${d.api} was called while the graph is still being wired`,
    fix: "Call dependencies in start() or in an api; constructors and field initialisers only connect services.",
  }),
  entry_elsewhere: row<{ entry: string; addresses: readonly string[] }>({
    code: "failed_precondition",
    text: (d) =>
      `${d.entry} is the entry service, whose HTTP requests are answered here, and it is to run at ${list(d.addresses)}`,
    fix: "Name a service that it calls: --at Ranker=tls://ranker:7000. To run nothing of this graph here, send requests to the other app.",
  }),
  resource_out_of_place: row({
    code: "failed_precondition",
    text: () => "a resource() is not the value of a public field, so its value could not be put there",
    fix: "Write `model = resource(…)` in the class, or `private model = resource(…)`: a #private field, a variable and an item of a list can't be given the value.",
  }),
  resource_not_open: row<{ resource: string }>({
    code: "failed_precondition",
    text: (d) => `${d.resource} was used while it is not open`,
    fix: "Use it in an api, in start(), or in the open function of a resource below it, not while the class is constructed. In a unit test that makes the class with `new`, assign the field first, or use `compose()`.",
  }),
  no_current_call: row<{ versions: readonly string[] }>({
    code: "internal",
    text: (d) => `currentCall() was used where no api is running${versionsText(d.versions)}`,
    fix: "Call it inside an api's function, or in code that this function awaits.",
  }),
  invalid_contract_form: row<{ at: string; problem: string }>({
    code: "failed_precondition",
    text: (d) => `the contract can't be read${d.at === "" ? "" : `, at ${d.at}`}: ${d.problem}`,
    fix: "Write it again with `ekiben contract`, by the version of ekiben that its service runs with.",
  }),
  contract_not_found: row<{ place: string; problem: string }>({
    code: "failed_precondition",
    text: (d) => `there is no contract to compare with at ${d.place}: ${d.problem}`,
    fix: "Give a build folder of `ekiben build`, a file that `ekiben contract` wrote, or the URL of a running app: --against http://127.0.0.1:3000.",
  }),
  contract_without_code: row<{ service: string }>({
    code: "failed_precondition",
    text: (d) => `${d.service} can't run here: this app has the contract of it, not its code`,
    fix: "Start it from its own build or from its source, and tell this app where it runs: --at <service>=tls://<host>:<port>.",
    fixFor: (d) =>
      `Start ${d.service} from its own build or from its source, and tell this app where it runs: --at ${d.service}=tls://<host>:<port>.`,
  }),
};
