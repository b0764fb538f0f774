import type { Output, Style } from "./terminal.js";

const levels: Readonly<Record<number, readonly [name: string, style: Style]>> = {
  20: ["debug", "dim"],
  30: ["info", "green"],
  40: ["warn", "yellow"],
  50: ["error", "red"],
};

/** Fields of a pino line that have a place of their own in the compact form, or none at all. */
const placed = new Set(["level", "time", "pid", "hostname", "msg", "service", "replica", "err"]);

/** One JSON line of the log as one line for a person: time, level, service, message, further fields; an error's stack below. */
export function formatLog(line: string, output: Output): string {
  const fields = parseFields(line);
  if (fields === undefined) return line;
  const [level, style] = levels[Number(fields["level"])] ?? ["info", "green"];
  const time = new Date(Number(fields["time"])).toTimeString().slice(0, 8);
  const place = fields["replica"] ?? fields["service"];
  const rest = Object.entries(fields)
    .filter(([name]) => !placed.has(name))
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  const { err } = fields;
  const stack = isFields(err) && typeof err["stack"] === "string" ? `\n${err["stack"]}` : "";
  const parts = [
    output.paint("dim", time),
    output.paint(style, level.padEnd(5)),
    ...(place === undefined ? [] : [output.paint("bold", String(place))]),
    ...(fields["msg"] === undefined ? [] : [String(fields["msg"])]),
    ...(rest.length === 0 ? [] : [output.paint("dim", rest.join(" "))]),
  ];
  return `${parts.join(" ")}${stack}\n`;
}

function parseFields(line: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(line);
    return isFields(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

const isFields = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;
