import type { Command } from "./command.js";
import { graphFormats } from "./command.js";
import type { Flag } from "./flags.js";

const config: Flag = {
  name: "config",
  short: "c",
  placeholder: "<file>",
  text: "The app file. Default: ekiben.config.ts, .mts, .js, .mjs or .json beside the service file, if there is one.",
};

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
      if (isWatching) return (await import("./run-watch.js")).runWatch(context);
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
];
