import { namePattern } from "../base/name-pattern.js";
import { flagOf, variableOf } from "./option.js";
import type { OptionReader } from "./option-reader.js";
import { options } from "./options.js";
import { pickNearest } from "./pick-nearest.js";

/**
 * Reads flags: option name → what was given, several where a flag was repeated.
 * Text is read as text; anything else as a value from code, for programs that pass flags on.
 */
export function readFlags(reader: OptionReader, flags: Readonly<Record<string, unknown>>): void {
  for (const [name, given] of Object.entries(flags)) {
    const option = options.get(name);
    const at = { source: "command line", where: `--${option === undefined ? name : flagOf(option)}` } as const;
    for (const value of Array.isArray(given) ? given : [given]) {
      if (typeof value === "string") offerText(reader, { ...at, name, text: value });
      else reader.offer({ ...at, service: "", api: "", name, value });
    }
  }
}

/** Reads `EKIBEN_…` variables. An empty one is not set. */
export function readEnvironment(reader: OptionReader, env: Readonly<Record<string, string | undefined>>): void {
  const variables = new Map([...options.values()].map((option) => [variableOf(option), option]));
  const known = [...variables].filter(([, { sources }]) => sources.includes("environment")).map(([name]) => name);
  for (const [variable, text] of Object.entries(env)) {
    if (!variable.startsWith("EKIBEN_") || text === undefined || text === "" || isServiceLink(variable, text)) continue;
    const option = variables.get(variable);
    if (option !== undefined) {
      offerText(reader, { source: "environment", where: variable, name: option.name, text });
    } else {
      const details = { variable, nearest: pickNearest(variable, known) };
      reader.addWarning("unknown_variable", details, { service: "", api: "", name: variable });
    }
  }
}

/** Kubernetes gives every pod such variables for a Service that is named ekiben: `EKIBEN_PORT=tcp://10.0.0.1:3000`. */
function isServiceLink(variable: string, text: string): boolean {
  return /^EKIBEN_(SERVICE_(HOST|PORT)|PORT_\d+_)/.test(variable) || /^(tcp|udp|sctp):\/\//.test(text);
}

const nextTarget = new RegExp(`,(?=${namePattern}(?:\\.${namePattern})?=)`, "u");
const targetAndValue = new RegExp(`^(?:(${namePattern})(?:\\.(${namePattern}))?=)?(.*)$`, "su");

interface Text {
  readonly source: "command line" | "environment";
  readonly where: string;
  readonly name: string;
  readonly text: string;
}

/** `"4"` is for every service, `"Model=4"` for one, `"Model.predict=4"` for one api; commas join several. */
function offerText(reader: OptionReader, { text, ...place }: Text): void {
  if (options.get(place.name)?.level === "app") {
    reader.offer({ ...place, service: "", api: "", value: text, isText: true });
    return;
  }
  for (const part of text.split(nextTarget)) {
    const [, service = "", api = "", value] = targetAndValue.exec(part) ?? [];
    reader.offer({ ...place, service, api, value, isText: true });
  }
}
