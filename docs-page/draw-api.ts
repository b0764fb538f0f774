import {
  type DocumentedApi,
  isJsonType,
  type OpenApiDocument,
  type Operation,
  type Parameter,
  type Response,
  readTaskPaths,
} from "./documented-api.js";
import { drawFields, drawSchema } from "./draw-schema.js";
import { drawTry } from "./draw-try.js";
import { type Child, el } from "./element.js";
import { isFile, isObject, resolve } from "./schema.js";

/** Returns the word that marks an api as a stream or a task; `""` for other apis. */
export const kindOf = ({ isStream, isTask }: DocumentedApi): string => (isStream ? "stream" : isTask ? "task" : "");

/** Draws the section of one api: its schemas on one side, the form to call it on the other. */
export function drawApi(document: OpenApiDocument, api: DocumentedApi, base: URL): HTMLElement {
  const { operation, path, id } = api;
  const word = kindOf(api);
  const service = operation["x-ekiben-service"];
  const route = el(
    "div",
    { class: "route" },
    el("span", { class: "method" }, "POST"),
    el("code", {}, el("a", { href: `#${id}` }, path)),
    word === "" ? undefined : el("span", { class: "kind stream" }, word),
    service ? el("span", { class: "kind" }, `${service}.${api.name}`) : undefined,
  );
  const facts = el(
    "div",
    {},
    drawInput(api),
    drawOutput(api),
    drawTaskPaths(document, api),
    drawHeaders(operation.parameters ?? []),
    drawFailures(operation.responses ?? {}),
  );
  return el(
    "section",
    { class: "api", id, "aria-labelledby": `${id}-title` },
    route,
    el("h2", { id: `${id}-title` }, operation.summary || api.name),
    operation.description ? el("p", { class: "about" }, operation.description) : undefined,
    el("div", { class: "columns" }, facts, drawTry(api, base)),
  );
}

function drawPart(side: string, title: string, types: string, ...children: readonly Child[]): HTMLElement {
  const shownTypes = types ? el("span", { class: "types" }, types) : undefined;
  return el("div", { class: `part ${side}` }, el("h3", {}, title, shownTypes), children);
}

/** Draws a part that is closed until the reader opens it. */
function drawFolded(title: string, words: string, content: Child): HTMLElement {
  const summary = el("summary", {}, title, el("span", {}, words));
  return el("div", { class: "part folded" }, el("details", { class: "more" }, summary, content));
}

function drawInput({ operation }: DocumentedApi): HTMLElement {
  const entries = Object.entries(operation.requestBody?.content ?? {});
  const [, media] = entries.find(([type]) => isJsonType(type)) ?? entries[0] ?? [];
  if (media === undefined) return drawPart("input", "Input", "", el("p", { class: "quiet" }, "None."));
  const forms = ["multipart/form-data", "text/plain"];
  const hasBytes = entries.some(([type]) => !isJsonType(type) && !forms.includes(type));
  const note =
    hasBytes && isFile(resolve(media.schema))
      ? el("p", { class: "notes" }, "Sent as the body itself, or as a part of a form.")
      : undefined;
  return drawPart("input", "Input", entries.map(([type]) => type).join(", "), drawSchema(media.schema), note);
}

function drawOutput({ answers, isStream }: DocumentedApi): HTMLElement {
  const entries = Object.entries(answers);
  const streamed = entries.find(([, { "x-ekiben-item": item }]) => item);
  const [, media] = streamed ?? entries.find(([type]) => isJsonType(type)) ?? entries[0] ?? [];
  if (media === undefined) return drawPart("output", "Output", "", el("p", { class: "quiet" }, "None."));
  const title = isStream ? "Output, item by item" : "Output";
  const types = entries.map(([type]) => type).join(", ");
  return drawPart("output", title, types, drawSchema(media["x-ekiben-item"] ?? media.schema));
}

function drawFailures(responses: NonNullable<Operation["responses"]>): HTMLElement | undefined {
  const failed = Object.entries(responses).filter(([status]) => !status.startsWith("2"));
  if (failed.length === 0) return undefined;
  const rows = failed.map(([status, given]) => {
    const term = status === "default" ? "any" : status;
    return [el("dt", {}, term), el("dd", {}, drawFailureList(resolve<Response>(given)))];
  });
  const statuses = failed.map(([status]) => status).filter((status) => status !== "default");
  return drawFolded("Failures", statuses.join(" "), el("dl", { class: "failures" }, rows));
}

/** A failure as a response may list it: its id alone, or an object with a text. */
interface ListedFailure {
  readonly id: string;
  readonly text?: string;
  readonly message?: string;
  readonly description?: string;
}

function drawFailureList(response: Response): Child {
  const listed = (response["x-ekiben-failures"] ?? []).map((failure) =>
    isObject(failure) ? (failure as unknown as ListedFailure) : ({ id: String(failure) } as ListedFailure),
  );
  if (listed.length === 0) return response.description ?? "";
  const textOf = ({ text, message, description }: ListedFailure) => text ?? message ?? description;
  const hasTexts = listed.some((failure) => textOf(failure));
  if (!hasTexts) return listed.map(({ id }, i) => [i === 0 ? "" : ", ", el("code", {}, id)]);
  return listed.map((failure) => el("p", {}, el("code", {}, failure.id), ` ${textOf(failure) ?? ""}`));
}

function drawHeaders(parameters: readonly Parameter[]): HTMLElement | undefined {
  const headers = parameters.map((given) => resolve<Parameter>(given)).filter((parameter) => parameter.in === "header");
  if (headers.length === 0) return undefined;
  const fields = headers.map(({ name, schema, description }) => {
    const own = resolve(schema);
    return [name, description === undefined ? own : { ...own, description }] as const;
  });
  const required = headers.filter((header) => header.required).map((header) => header.name);
  return drawFolded("Headers", headers.map((header) => header.name).join(", "), drawFields(fields, required));
}

/** Draws the paths that ask about a task. They are listed only: they have no form. */
function drawTaskPaths(document: OpenApiDocument, api: DocumentedApi): HTMLElement | undefined {
  const found = readTaskPaths(document, api);
  if (found.length === 0) return undefined;
  const rows = found.map(({ path, method, operation }) => {
    const about = el("dd", {}, el("p", {}, el("code", {}, path)), el("p", {}, operation.summary ?? ""));
    return [el("dt", {}, method.toUpperCase()), about];
  });
  const names = found.map(({ path }) => path.split("/").at(-1)).join(", ");
  return drawFolded("As a task", names, el("dl", { class: "failures" }, rows));
}
