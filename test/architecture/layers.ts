/** One folder of src/ and the imports that its files may have. */
export interface Layer {
  /** Folders, or a file such as `"handle/directory"`. The suffix `":types"` allows only `import type`. */
  readonly may: readonly string[];
}

/**
 * Import rules: a folder may import itself and the folders of its row.
 *
 * Rows are in the order of the layers, from the parts of an app to the app as a whole. Sending calls (`handle`) and
 * running them (`replica`) meet only in `runtime/local-host.ts`. `runtime` joins everything that lives in one thread or
 * process, and has the entry files of threads and processes. `app` puts one app together from all folders above it in
 * this table, so that no other folder needs to know them all.
 */
export const layers: Readonly<Record<string, Layer>> = {
  base: { may: [] },
  failure: { may: [] },
  held: { may: ["failure", "base"] },
  call: { may: ["held:types", "failure", "base"] },
  options: { may: ["failure", "base/name-pattern"] },
  define: { may: ["call", "held", "options:types", "failure", "base"] },
  contract: { may: ["define", "failure", "base/name-pattern"] },
  observe: { may: ["failure", "base:types"] },
  transport: { may: ["define/tensor", "call", "held", "failure", "base"] },
  tasks: { may: ["call/task-state:types", "options:types", "failure", "base"] },
  models: { may: ["define/model", "failure", "base"] },
  load: { may: ["define", "failure", "base"] },
  graph: { may: ["define", "options", "failure"] },
  build: {
    may: [...["contract", "graph", "load", "define", "options", "failure", "base"]],
  },
  handle: { may: ["define:types", "call", "observe:types", "failure", "base"] },
  replica: {
    may: [
      "define",
      "call",
      "transport",
      "held:types",
      "tasks:types",
      "observe:types",
      "options:types",
      "failure",
      "base",
    ],
  },
  placement: {
    may: [
      ...["graph:types", "load:types", "define:types", "observe:types", "options:types"],
      ...["transport/wire-error", "call", "held:types", "failure", "base"],
    ],
  },
  http: {
    may: [
      ...["handle:types", "graph:types", "graph/picture/draw-text", "observe:types", "options:types"],
      ...["contract/contract-form", "define", "call", "held", "failure", "base"],
    ],
  },
  supervisor: {
    may: ["placement:types", "graph:types", "call:types", "observe:types", "options:types", "failure", "base:types"],
  },
  runtime: {
    may: [
      ...["placement", "http", "replica", "tasks", "models", "handle", "transport", "held", "load", "graph"],
      ...["observe", "contract", "options/address-types", "define:types", "options:types"],
      ...["call", "failure", "base"],
    ],
  },
  app: {
    may: [
      ...["runtime", "supervisor", "http", "placement", "handle:types", "models", "load", "graph"],
      ...["transport/slab-writer", "held", "observe", "define", "options", "call", "failure", "base"],
    ],
  },
  auth: { may: ["options/app-file:types", "options/secret", "failure"] },
  client: {
    may: [
      ...["define:types", "define/tensor", "define/tensor-forms", "define/follow-reference", "define/task-paths"],
      ...["call/task-state:types", "failure", "base"],
    ],
  },
  testing: {
    may: [
      "app",
      "runtime/faults",
      "call/call-context:types",
      "load",
      "graph:types",
      "define",
      "options:types",
      "failure",
      "base/shared-state",
      "base:types",
    ],
  },
  cli: {
    may: [
      ...["app", "build", "load", "supervisor:types", "graph", "contract", "define", "options", "tasks", "failure"],
      ...["base", "models"],
      ...["call/task-state", "transport/wire-error", "observe/guarded-output"],
    ],
  },
};

/** Published entries. They only re-export; only they may use `export *`; no file imports them. */
export const entries: readonly string[] = ["index.ts", "client.ts", "testing.ts", "auth.ts"];

/** Entry that also runs in browsers, so it may load no module of Node. */
export const browserEntry = "client.ts";

/** Classes whose fields only they write: the parts of a call, which many files share. */
export const sealedClasses: readonly string[] = ["CallScope", "CallInput", "RunningCall"];

/** Figures of the house as a whole. */
export interface HouseCounts {
  readonly files: number;
  /** Files with fewer than `shortFileLines` lines: each has a reason to be opened, but little in it. */
  readonly shortFiles: number;
  /** Pairs of folders of which one imports the other, types and lazy imports included. */
  readonly folderArrows: number;
}

/**
 * The most that the house may have. A new part that needs more raises a limit here, on purpose: in a house that only
 * grows, a reader opens more files for the same thing.
 */
export const houseLimits: HouseCounts = { files: 370, shortFiles: 22, folderArrows: 145 };

export const shortFileLines = 30;
export const maxFileLines = 450;
export const maxFunctionLines = 80;

/** Words that say nothing about the purpose of a thing. */
export const emptyWords: readonly string[] = [
  ...["manager", "helper", "helpers", "util", "utils", "base", "impl", "info", "data", "common"],
];
