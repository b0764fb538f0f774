import { flagOf, formatDefault, formatSources, type Option, variableOf } from "../../src/options/option.js";
import { options } from "../../src/options/options.js";
import { code, formatTable, generatedNote } from "./markdown.js";

const introduction = `# Options

Every option of ekiben, once. \`ekiben options\` shows the same list for an app of yours: each value, and the source that won.

**Who wins.** Command line, environment, app file, api, service, default: the first that says anything. Within one source the
narrower place wins (an api before its service, a service before the whole app), then the later one. A value is never joined
from two sources.

**A \`timeoutMs\` for the whole app is only a default.** It holds for apis that are neither streams nor tasks and have no
\`timeoutMs\` in \`api()\` or \`Service()\`. One for a service or an api (\`--timeout-ms Model.predict=500\`, \`services.Model\`) wins over
code as usual. \`ekiben options\` and \`ekiben check\` name the apis that the default does not reach.

**Where they stand.**

\`\`\`sh
ekiben serve --replicas 2 --replicas Model=4 --timeout-ms Model.predict=500   # all services; one service; one api
EKIBEN_REPLICAS=2,Model=4 ekiben serve                                       # the same, from the environment
\`\`\`

\`\`\`ts
// ekiben.config.ts, beside the service file
import type { AppFile } from "ekiben";

export default {
  port: 8080,
  http: { maxBodyBytes: "64MiB" },
  timeoutMs: 10_000, // apis that say nothing themselves; not streams, not tasks
  services: {
    Model: { replicas: 4, resources: { cpu: 2 }, apis: { predict: { timeoutMs: 500 } } },
  },
} satisfies AppFile;
\`\`\`

In code, an option of a service stands in \`Service({ … })\`, one of an api in the contract given to \`api()\`, or in \`Service({ … })\`
for all apis of that service. \`http\` is read from the entry service alone. Unknown names, wrong types and values out of range
are faults: all of them are reported at once, and nothing starts. An \`EKIBEN_…\` variable that sets nothing is warned of; an
empty one is not set.

**Units** end the name. Sizes are bytes, or text: \`16MiB\`, \`16Mi\` (powers of 1024), \`16MB\` (powers of 1000). Cores may be
thousandths: \`500m\`.
`;

const sections: readonly { readonly level: Option["level"]; readonly title: string }[] = [
  { level: "app", title: "Options of the app" },
  { level: "service", title: "Options of services" },
  { level: "api", title: "Options of apis" },
];

/** docs/reference/options.md */
export function formatOptionsPage(): string {
  const parts = sections.map(({ level, title }) => {
    const rows = [...options.values()].filter((option) => option.level === level);
    return `## ${title}\n\n${rows.map(formatOption).join("\n\n")}\n`;
  });
  return [generatedNote("src/options/options.ts"), "", introduction, ...parts].join("\n");
}

function formatOption(option: Option): string {
  const fromText = option.sources.includes("command line");
  const rows = [
    ["Value", option.type.expected],
    ["Default", formatDefault(option)],
    ...(option.type.unit === "" ? [] : [["Unit", option.type.unit]]),
    ...(fromText ? [["Flag", code(`--${flagOf(option)}`)]] : []),
    ...(fromText ? [["Variable", code(variableOf(option))]] : []),
    ["Set by", formatSources(option)],
  ];
  return `### ${code(option.name)}\n\n${option.text}\n\n${formatTable(["", ""], rows)}`;
}
