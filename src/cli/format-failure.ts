import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { failures, type GraphFault } from "../failure/failures.js";
import { isError, readCauses, readText, textOf } from "../failure/read-thrown.js";
import { ServingError } from "../failure/serving-error.js";
import { messageOf } from "../failure/to-serving-error.js";
import type { Output } from "./terminal.js";

/** Reference of all failures, which ships with the package. Each failure has a heading, named by its id. */
const failuresPage = join(dirname(fileURLToPath(import.meta.url)), "../../docs/reference/failures.md");

/** Maximum number of stack frames shown, all of the author's code. */
const maxFrames = 5;

/** Formats a failure for the terminal: what happened, where in the author's files, and the fix. */
export function formatFailure(thrown: unknown, output: Output): string {
  if (!(thrown instanceof ServingError)) {
    return `${formatHead(thrown, output)}\n${formatCause(thrown, output, true)}\n`;
  }
  const faults = thrown.details["faults"] as readonly GraphFault[] | undefined;
  if (["invalid_graph", "build_refused"].includes(thrown.id) && faults !== undefined)
    return formatFaults(faults, output);
  const lines = [formatHead(thrown, output), formatCause(thrown.cause, output, hasSameMessage(thrown))];
  if (thrown.fix !== undefined) lines.push(`  ${output.paint("cyan", "fix:")} ${thrown.fix}`);
  lines.push(formatDocs(thrown.id, "  ", output));
  return `${lines.filter((line) => line !== "").join("\n")}\n`;
}

/** Formats all faults of a graph or of its options, each with its origin and its fix. */
export function formatFaults(faults: readonly GraphFault[], output: Output): string {
  const count = `${faults.length} ${faults.length === 1 ? "fault" : "faults"}`;
  const lines = faults.map((fault) => formatFinding({ ...fault, kind: "fault" }, output));
  return `${output.paint("red", count)}\n\n${lines.join("\n")}\n`;
}

/** Formats one finding of a command: a fault, a warning or a note. */
export function formatFinding(
  {
    kind,
    id = "",
    service,
    field,
    message,
    fix,
  }: Omit<GraphFault, "id"> & { readonly kind: "fault" | "warning" | "note"; readonly id?: string },
  output: Output,
): string {
  const style = { fault: "red", warning: "yellow", note: "dim" } as const;
  const place = [service, field].filter((part) => part !== "").join(".");
  const head = `  ${output.paint(style[kind], kind)} ${place === "" ? "" : `${output.paint("bold", place)}: `}${message}`;
  const lines = [head, fix === "" ? "" : `    ${output.paint("cyan", "fix:")} ${fix}`, formatDocs(id, "    ", output)];
  return `${lines.filter((line) => line !== "").join("\n")}\n`;
}

/** Formats where the reference explains a failure; `""` for an id that is not one of ekiben's. */
export function formatDocs(id: string, indent: string, output: Output): string {
  return Object.hasOwn(failures, id)
    ? output.paint("dim", `${indent}docs: ${relative(process.cwd(), failuresPage)}#${id}`)
    : "";
}

function formatHead(thrown: unknown, output: Output): string {
  const place = thrown instanceof ServingError ? [thrown.service, thrown.api].filter(Boolean).join(".") : "";
  const message = isError(thrown) ? messageOf(thrown) : textOf(thrown);
  return `${output.paint("red", "error:")} ${place === "" ? "" : `${place}: `}${message}`;
}

/** True when the text of the failure already contains the text of its cause. */
const hasSameMessage = ({ message, cause }: ServingError): boolean =>
  isError(cause) && readText(cause, "message") !== "" && message.includes(messageOf(cause));

/** Formats the thrown value and the frames of the author's code; `""` when there are no such frames. */
function formatCause(cause: unknown, output: Output, isSaid: boolean): string {
  if (!isError(cause)) return "";
  const name = readText(cause, cause instanceof ServingError ? "id" : "name") ?? "Error";
  const head = isSaid ? [] : [`  ${name}: ${messageOf(cause)}`];
  const frames = [...syntaxLines(cause), ...authorFrames(cause)].map((line) => output.paint("dim", `    ${line}`));
  // Without a frame in the author's files, the cause adds nothing to the text of the failure.
  if (frames.length === 0) return "";
  const deeper = readCauses(cause, 1)
    .filter(isError)
    .map((own) => `  caused by ${readText(own, "name") ?? "Error"}: ${messageOf(own)}`);
  return [...head, ...frames, ...deeper].join("\n");
}

/** Returns the stack frames of an error in the author's files, innermost first: `"at load (service.ts:12:9)"`. */
export function authorFrames(error: Error): string[] {
  const own = dirname(dirname(fileURLToPath(import.meta.url)));
  return (readText(error, "stack") ?? "")
    .split("\n")
    .filter((line) => /^\s+at /.test(line))
    .map((line) => shortenPaths(line.trim()))
    .filter((line) => !/\bnode:|node_modules\/|^at (<anonymous>|async Promise\.all|new Promise)/.test(line))
    .filter((line) => !line.includes(relative(process.cwd(), own) || own) && !line.includes(own))
    .slice(0, maxFrames);
}

/** Returns the lines that Node puts before the message of a syntax error: file and line number, source line, marker. */
function syntaxLines(error: Error): string[] {
  if (!(error instanceof SyntaxError)) return [];
  const lines = (readText(error, "stack") ?? "").split("\n");
  const end = lines.findIndex((line) => line.startsWith("SyntaxError"));
  return lines
    .slice(0, Math.max(0, end))
    .map(shortenPaths)
    .filter((line) => line.trim() !== "");
}

function shortenPaths(line: string): string {
  return line.replace(/file:\/\/[^\s):]+/g, (url) => fileURLToPath(url)).replaceAll(`${process.cwd()}/`, "");
}
