import type { ResolvedApp } from "../app/plan-app.js";
import type { ApiDescriptor, ServiceDescriptor } from "../define/descriptor.js";
import { formatOutput, formatServices } from "../graph/picture/format-service.js";
import { formatCurl } from "./format-curl.js";
import { formatColumns, formatDuration, type Output } from "./terminal.js";

/** What an app offers at its address, and one call to try. */
export function formatApis({ graph, options }: ResolvedApp, url: string, { paint }: Output): string {
  const entry = graph.services.get(graph.entry) as ServiceDescriptor;
  const services = formatServices(graph, { settings: options.settings.services });
  const { apis } = services.find(({ name }) => name === graph.entry) ?? { apis: [] };
  const rows = apis.map((api) => [`  POST ${paint("cyan", api.route)}`, `${api.input} -> ${formatOutput(api)}`]);
  const [first] = entry.apis.values();
  return [
    ...formatColumns([...rows, [`  GET  ${paint("cyan", "/docs")}`, "every api, with a form to try it"]]),
    ...(first === undefined ? [] : ["", `  ${formatCurl(url, first as ApiDescriptor)}`]),
  ].join("\n");
}

/** What is shown of an app that is ready. */
export interface Ready {
  readonly url: string;
  /** See `formatApis`. */
  readonly apis: string;
  readonly ms: number;
}

/** Where the server answers, and what it offers. */
export function formatReady({ url, apis, ms }: Ready, { paint }: Output): string {
  return `\n${paint("green", "ready")} in ${formatDuration(ms)}  ${paint("bold", url)}\n\n${apis}\n\n`;
}
