import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import {
  type Break,
  type ContractChange,
  compareContracts,
  type Rollout,
  rolloutOf,
} from "../contract/compare-contracts.js";
import { type ContractForm, contractForm } from "../contract/contract-form.js";
import { readContractForm } from "../contract/read-contract-form.js";
import { fail } from "../failure/failures.js";
import { systemProblem } from "../failure/read-thrown.js";
import type { ServingError } from "../failure/serving-error.js";
import { messageOf } from "../failure/to-serving-error.js";
import type { Graph } from "../graph/graph.js";
import { type CommandContext, exitCodes } from "./command.js";
import { loadApp } from "./load-app.js";
import { writeOutput } from "./run-graph.js";
import type { Output } from "./terminal.js";

/** Runs `ekiben contract`: prints the contracts of all services of an app. */
export async function runContract({ args, env, terminal }: CommandContext): Promise<number> {
  const { graph } = await loadApp(args, env);
  const text = `${JSON.stringify({ entry: graph.entry, contracts: listContracts(graph) }, undefined, 2)}\n`;
  const output = args.own.get("output");
  if (output === undefined) terminal.out.write(text);
  else {
    writeOutput(output, text);
    terminal.err.write(`wrote ${output}\n`);
  }
  return exitCodes.ok.code;
}

const listContracts = ({ services }: Graph): ContractForm[] => [...services.values()].map(contractForm);

/** Runs `ekiben check --against`: compares the contracts of an app with those of another version. */
export async function runAgainst({ args, env, terminal }: CommandContext): Promise<number> {
  const { graph } = await loadApp(args, env);
  const older = await loadContracts(args.own.get("against") as string);
  const newer = new Map(listContracts(graph).map((form) => [form.service, form]));
  const changes = older.flatMap((form) => compareService(form, newer.get(form.service), graph.entry));
  const rollout = rolloutOf(changes);
  const isBreaking = changes.some(({ severity }) => severity === "breaking");
  if (args.own.has("json")) {
    const services = older.map(({ service }) => service);
    terminal.out.write(`${JSON.stringify({ services, isBreaking, rollout, changes }, undefined, 2)}\n`);
  } else {
    for (const change of sortChanges(changes)) terminal.out.write(formatChange(change, terminal.out));
    terminal.out.write(formatSummary(changes, rollout, older.length, terminal.out));
  }
  return (isBreaking ? exitCodes.failed : exitCodes.ok).code;
}

function compareService(older: ContractForm, newer: ContractForm | undefined, entry: string): ContractChange[] {
  const { service } = older;
  if (newer !== undefined) return compareContracts(older, newer, { comparesRoutes: service === entry });
  const gone = { service, api: "", field: "", from: "a service", to: "absent" };
  return [{ ...gone, severity: "breaking", breaks: ["old callers"], unsure: [], rollout: "callers first" }];
}

/** Most bytes of a document with contracts. */
const maxBytes = 16 * 1024 ** 2;
/** Time in which a running app must have answered. */
const maxWaitMs = 10_000;

/** Loads the contracts at a place: a URL, a folder or a file. @throws {ServingError} `contract_not_found`. */
async function loadContracts(place: string): Promise<ContractForm[]> {
  const refuse = (problem: string): ServingError => fail("contract_not_found", { place, problem });
  if (/^https?:\/\//i.test(place)) return readContracts(await fetchDocument(place, refuse), refuse);
  try {
    if (!statSync(place).isDirectory()) return readContracts(parse(readFileSync(place, "utf8"), refuse), refuse);
    const folders = readdirSync(place, { withFileTypes: true }).filter((entry) => entry.isDirectory());
    const files = [place, ...folders.map(({ name }) => join(place, name))]
      .map((folder) => join(folder, "contract.json"))
      .filter((file) => existsSync(file));
    if (files.length === 0) throw refuse("the folder has no <Service>/contract.json");
    return files.flatMap((file) => readContracts(parse(readFileSync(file, "utf8"), refuse), refuse));
  } catch (error) {
    throw (error as NodeJS.ErrnoException).syscall === undefined ? error : refuse(systemProblem(error));
  }
}

type Refuse = (problem: string) => ServingError;

function parse(text: string, refuse: Refuse): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw refuse(`it is not JSON: ${messageOf(error)}`);
  }
}

/** Reads one contract, the document of `ekiben contract`, or the one that a running app serves. */
function readContracts(value: unknown, refuse: Refuse): ContractForm[] {
  const given = (typeof value === "object" && value !== null ? value : {}) as Readonly<Record<string, unknown>>;
  if (Array.isArray(given["contracts"])) return given["contracts"].map(readContractForm);
  if (Array.isArray(given["apis"])) return [readContractForm(value)];
  if (given["contract"] !== undefined) return [readContractForm(given["contract"])];
  throw refuse("it has no contract; /schema.json of an older ekiben has none");
}

async function fetchDocument(place: string, refuse: Refuse): Promise<unknown> {
  const url = URL.canParse(place) ? new URL(place) : undefined;
  if (url === undefined) throw refuse("it is not a URL");
  if (url.pathname === "/") url.pathname = "/schema.json";
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(maxWaitMs) });
    if (!response.ok) throw refuse(`${url.pathname} answers with ${response.status}`);
    const parts: Uint8Array[] = [];
    let length = 0;
    for await (const part of response.body ?? []) {
      length += part.length;
      if (length > maxBytes) throw refuse(`it has more than ${maxBytes} bytes`);
      parts.push(part);
    }
    return parse(Buffer.concat(parts).toString("utf8"), refuse);
  } catch (error) {
    if ((error as Partial<ServingError>).id === "contract_not_found") throw error;
    const { cause } = error as { readonly cause?: unknown };
    throw refuse(
      (error as Error).name === "TimeoutError" ? `no answer within ${maxWaitMs} ms` : messageOf(cause ?? error),
    );
  }
}

const severities = ["breaking", "unknown", "compatible"] as const;

const sortChanges = (changes: readonly ContractChange[]): ContractChange[] =>
  severities.flatMap((severity) => changes.filter((change) => change.severity === severity));

const styles = { breaking: "red", unknown: "yellow", compatible: "green" } as const;

/** Formats a change: its place, both types, and the consequence. */
function formatChange(change: ContractChange, { paint }: Output): string {
  const { service, api, field, from, to, severity } = change;
  const place = [service, api, field].filter((part) => part !== "").join(".");
  const lines = [`  ${paint(styles[severity], severity)} ${paint("bold", place)}: ${from} -> ${to}`];
  return `${[...lines, ...listConsequences(change).map((text) => `    ${text}`)].join("\n")}\n`;
}

/** Lists who is affected by a change and in which way. */
function listConsequences({ field, from, breaks, unsure, example }: ContractChange): string[] {
  const isInput = field.startsWith("input");
  const isOutput = field.startsWith("output") || field.startsWith("yields");
  const shown = example === undefined ? "" : `, for example ${example}`;
  const texts: Readonly<Record<Break, string>> = {
    "old callers": isInput
      ? "callers of the old version may send what the new one refuses"
      : isOutput
        ? "callers of the old version may get what they do not expect"
        : "callers of the old version fail with the new one",
    "new callers": isInput
      ? "callers of the new version may send what the old one refuses"
      : isOutput
        ? "callers of the new version may get from the old one what they do not expect"
        : "callers of the new version fail with the old one",
    "stored tasks": isOutput
      ? "results of tasks that are stored may be what new callers do not expect"
      : "waiting tasks of the old version may be refused by the new one: let them end first",
  };
  return [
    ...breaks.map((pair, index) => texts[pair] + (index === 0 ? shown : "")),
    ...unsure.map((pair) => `can't be compared; if it does not fit, ${texts[pair]}`),
    ...(breaks.length + unsure.length > 0
      ? []
      : [isInput && from === "absent" ? "the old version drops it" : "no caller is affected"]),
  ];
}

const orders: Readonly<Record<Rollout, string>> = {
  any: "in any order",
  "callee first": "the service first, then its callers",
  "callers first": "the callers first, then the service",
  none: "no order is safe: split the change in two, the wider type first",
};

function formatSummary(
  changes: readonly ContractChange[],
  rollout: Rollout,
  services: number,
  { paint }: Output,
): string {
  const compared = `${services} ${services === 1 ? "service" : "services"} compared`;
  if (changes.length === 0) return `${paint("green", "ok")}: ${compared}, no changes\n`;
  const counts = severities.map((own) => `${changes.filter(({ severity }) => severity === own).length} ${own}`);
  const isBreaking = changes.some(({ severity }) => severity === "breaking");
  const sign = isBreaking ? paint("red", "not ok") : paint("green", "ok");
  return `${sign}: ${compared}, ${counts.join(", ")}\n  roll out: ${orders[rollout]}\n`;
}
