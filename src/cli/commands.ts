import type { TaskStatus } from "../tasks/task-store.js";
import { type Command, type Flag, graphFormats } from "./command.js";

const config: Flag = {
  name: "config",
  short: "c",
  placeholder: "<file>",
  text: "The app file. Default: ekiben.config.ts, .mts, .js, .mjs or .json beside the service file, if there is one.",
};

const taskStatuses: readonly TaskStatus[] = ["pending", "in_progress", "completed", "failed", "canceled"];

/** Every command, in the order of the overview. What one needs is loaded when it runs. */
export const commands: readonly Command[] = [
  {
    name: "serve",
    summary: "Start the services and answer HTTP requests.",
    details: [
      "Services start callees first; then the apis of the entry service are open. Ctrl-C (or SIGTERM) drains: no new request is taken, every accepted one is answered, then the services stop. A second Ctrl-C ends at once.",
      "The log goes to stdout: JSON lines, or a compact form on a terminal. What the command itself says goes to stderr.",
      "With --watch, a change of a source file starts the new version beside the one that serves; it takes over when it is ready, and no request is lost. One that does not start is shown, and changes nothing.",
    ],
    flags: [
      config,
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
      "ekiben serve --watch",
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
    details: ["Starts nothing."],
    flags: [
      config,
      {
        name: "format",
        short: "f",
        placeholder: graphFormats.join("|"),
        text: "How to show it. Default: by the ending of --output, else text.",
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
    summary: "Look for everything that is wrong, without starting anything.",
    details: [
      "Checks the graph, every option, routes, examples against their schemas, deadlines along the edges, the resources asked for against this machine, and types with the project's own TypeScript.",
      "Faults make the exit code 1; warnings and notes do not.",
    ],
    flags: [config, { name: "no-types", placeholder: "", text: "Leave out the types." }],
    takesOptions: true,
    examples: ["ekiben check", "ekiben check service.ts --replicas 8"],
    run: async (context) => (await import("./run-check.js")).runCheck(context),
  },
  {
    name: "options",
    summary: "List every option, its value, and which source won.",
    details: ["Sources, strongest first: command line, environment, app file, api, service, default."],
    flags: [
      config,
      { name: "changed", placeholder: "", text: "Only options that somebody set." },
      { name: "json", placeholder: "", text: "As JSON, for other programs." },
    ],
    takesOptions: true,
    examples: ["ekiben options", "EKIBEN_PORT=8080 ekiben options --changed"],
    run: async (context) => (await import("./run-options.js")).runOptions(context),
  },
  {
    name: "tasks",
    summary: "List the durable tasks of an app, show one, cancel it, run it again, or move those of a renamed task.",
    details: [
      "Reads the store of the app's tasks itself; the app need not run, and may. A task that waits is canceled at once; one that runs is asked to end, which whoever runs it hears of. retry hands the input of a task that has ended in again, under a new id.",
      "move gives every task that was handed in to one api, ended ones too, to another: after a rename, or from another namespace.",
      "Nothing is ever deleted: tasks that ended are forgotten by the app itself, after tasks.retentionMs.",
    ],
    words: { most: 4, usage: "list|show|cancel|retry|move [id | from to] [file][:Class]" },
    flags: [
      config,
      {
        name: "namespace",
        placeholder: "<name>",
        text: "Only tasks of this namespace; for move, the one that they come from. Default: the app's own.",
      },
      { name: "service", placeholder: "<name>", text: "Only tasks of this service." },
      { name: "api", placeholder: "<name>", text: "Only tasks of this api." },
      {
        name: "status",
        placeholder: taskStatuses.join("|"),
        text: "Only tasks with this status.",
        choices: taskStatuses,
      },
      { name: "limit", placeholder: "<n>", text: "At most so many, the newest first. Default 50." },
      {
        name: "format",
        short: "f",
        placeholder: "text|json",
        text: "How to show them. Default: text.",
        choices: ["text", "json"],
      },
    ],
    takesOptions: true,
    examples: [
      "ekiben tasks list --status failed",
      "ekiben tasks show 0123456789abcdef0123456789abcdef",
      "ekiben tasks cancel 0123456789abcdef0123456789abcdef",
      "ekiben tasks retry 0123456789abcdef0123456789abcdef service.ts",
      "ekiben tasks move Library.index Catalog.reindex service.ts",
    ],
    run: async (context) => (await import("./run-tasks.js")).runTasks(context),
  },
];
