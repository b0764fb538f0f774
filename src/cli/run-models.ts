import { basename, extname, resolve } from "node:path";
import { formatModel, hideQuery, type ModelDescriptor, readModelSource } from "../define/model.js";
import { fail } from "../failure/failures.js";
import { ServingError } from "../failure/serving-error.js";
import { formatMegabytes } from "../models/download.js";
import { type KeptModel, listStored, removeParts, removeStored } from "../models/kept-models.js";
import { findModelFolder, hashFile, type ModelProgress, ModelStore } from "../models/model-store.js";
import { pickNearest } from "../options/pick-nearest.js";
import { type CommandContext, exitCodes, modelActions } from "./command.js";
import { formatFaults } from "./format-failure.js";
import { loadApp } from "./load-app.js";
import { formatColumns, formatDuration, type Output } from "./terminal.js";

const dayMs = 24 * 3_600_000;
/** Days without use after which `prune` removes a model. */
const defaultDays = 30;

/** State of one run of the command. */
interface ModelWork {
  readonly context: CommandContext;
  readonly store: ModelStore;
  readonly signal: AbortSignal;
}

/** A model of one service. */
interface OwnModel {
  readonly service: string;
  readonly model: ModelDescriptor;
}

/** Runs `ekiben models`: lists, fetches and checks the models of an app, and removes unused ones of all apps. */
export async function runModels(context: CommandContext): Promise<number> {
  const { args, env, terminal } = context;
  const [first = "list", ...rest] = args.positionals;
  const action = modelActions.find((known) => known === first);
  if (action === undefined) {
    const nearest = pickNearest(first, modelActions);
    const hint = nearest === undefined ? "" : `; did you mean ${nearest}?`;
    throw fail("invalid_flag", { problem: `models has no action ${first}${hint} It takes ${modelActions.join(", ")}` });
  }
  const given = String(args.options["models"]?.at(-1) ?? env["EKIBEN_MODELS"] ?? "");
  const onProgress = showProgress(terminal.err);
  const open = (folder: string): ModelWork => ({
    context,
    store: new ModelStore({ folder: findModelFolder(folder, env), env, onProgress }),
    signal: new AbortController().signal,
  });
  if (action === "prune") return prune(open(given));
  const [from, ...more] = rest;
  if (action === "add" && from !== undefined && /^(npm|https?|file):/.test(from)) {
    if (more.length > 0)
      throw fail("invalid_flag", { problem: `models add got too many arguments: ${more.join(" ")}` });
    return add(open(given), from);
  }
  if (more.length > 0)
    throw fail("invalid_flag", { problem: `models ${action} got too many arguments: ${more.join(" ")}` });
  const app = await loadApp({ ...args, positionals: rest }, env);
  if (app.options.faults.length > 0) {
    terminal.err.write(formatFaults(app.options.faults, terminal.err));
    return exitCodes.failed.code;
  }
  const work = open(app.options.settings.server.models);
  const own = [...app.graph.services.values()].flatMap(({ name: service, models }) =>
    models.map((model) => ({ service, model })),
  );
  if (action === "list") return list(work, own);
  return action === "add" ? fetchAll(work, own) : verify(work, own);
}

async function list({ context, store }: ModelWork, own: readonly OwnModel[]): Promise<number> {
  const { out, err } = context.terminal;
  const rows = await Promise.all(
    own.map(async ({ service, model }) => {
      const { from, sha256 } = model;
      const told = { service, model: formatModel(model), from: hideQuery(from), sha256 };
      const path = await store.find(model).catch((error: unknown) => messageOf(error));
      const isThere = path !== undefined && !path.startsWith(problemMark);
      return { ...told, state: path === undefined ? "not fetched" : isThere ? "there" : path.slice(1), isThere, path };
    }),
  );
  if (context.args.own.get("format") === "json") {
    const shown = rows.map(({ isThere, path, ...row }) => ({ ...row, ...(isThere && { path }) }));
    out.write(`${JSON.stringify(shown, undefined, 2)}\n`);
    return exitCodes.ok.code;
  }
  if (rows.length === 0) out.write("the app has no models\n");
  else {
    const cells = rows.map(({ service, model, from, state, isThere, path }) => {
      return [model, service, out.paint(isThere ? "green" : "yellow", state), isThere ? String(path) : from];
    });
    out.write(`${formatColumns([["MODEL", "SERVICE", "STATE", "FILE"], ...cells]).join("\n")}\n`);
  }
  const all = await listStored(store.folder);
  const bytes = all.reduce((sum, { bytes: one }) => sum + one, 0);
  err.write(out.paint("dim", `${store.folder}: ${all.length} files of all apps, ${formatMegabytes(bytes)}\n`));
  return exitCodes.ok.code;
}

/** Begins a text that is a problem in place of a path. */
const problemMark = "\0";
const messageOf = (error: unknown): string =>
  `${problemMark}${error instanceof ServingError ? error.message : String(error)}`;

/** Fetches one file, and prints the line that declares it. */
async function add({ context, store, signal }: ModelWork, from: string): Promise<number> {
  const source = readModelSource(from);
  if (typeof source === "string") throw fail("invalid_flag", { problem: `models add: ${source}` });
  const file = source.kind === "url" ? source.url.pathname : source.path;
  const name =
    basename(file, extname(file))
      .toLowerCase()
      .replace(/[^a-z0-9.-]+/g, "-")
      .replace(/^[.-]+|[.-]+$/g, "") || "model";
  const version = source.kind === "npm" ? source.version : "1.0";
  const folder = process.cwd();
  const model = { field: "", name, version, from, sha256: undefined, folder, problem: undefined };
  const { path, sha256 } = await store.add(model, signal);
  await store.tidy();
  const { out } = context.terminal;
  if (context.args.own.get("format") === "json") {
    out.write(`${JSON.stringify({ model: formatModel(model), from, sha256, path }, undefined, 2)}\n`);
    return exitCodes.ok.code;
  }
  out.write(`${path}\n\nweights = model(${JSON.stringify(formatModel(model))}, {\n`);
  out.write(`  from: ${JSON.stringify(from)},\n  sha256: "${sha256}",\n});\n`);
  return exitCodes.ok.code;
}

/** Fetches all models of an app. */
async function fetchAll({ context, store, signal }: ModelWork, own: readonly OwnModel[]): Promise<number> {
  const { out } = context.terminal;
  for (const { model } of own) {
    const begun = Date.now();
    const wasThere = (await store.find(model)) !== undefined;
    const path = await store.obtain(model, signal);
    out.write(
      `${formatModel(model)}  ${path}${wasThere ? "" : `  fetched in ${formatDuration(Date.now() - begun)}`}\n`,
    );
  }
  await store.tidy();
  if (own.length === 0) out.write("the app has no models\n");
  return exitCodes.ok.code;
}

/** Reads every stored file, and the local ones of an app, and compares their digests. */
async function verify({ context, store }: ModelWork, own: readonly OwnModel[]): Promise<number> {
  const { out } = context.terminal;
  const stored = (await listStored(store.folder)).map(({ path, sha256, name, version }) => {
    return { name: formatModel({ name, version }), path, sha256 };
  });
  const local = own.flatMap(({ model }) => {
    const source = readModelSource(model.from);
    if (typeof source === "string" || source.kind !== "file" || model.sha256 === undefined) return [];
    return [{ name: formatModel(model), path: resolve(model.folder, source.path), sha256: model.sha256 }];
  });
  let wrong = 0;
  for (const { name, path, sha256 } of [...stored, ...local]) {
    const actual = await hashFile(path).catch((error: unknown) => String(error));
    const isRight = actual === sha256;
    if (!isRight) wrong++;
    const state = isRight ? out.paint("green", "ok") : out.paint("red", `differs: ${actual}`);
    out.write(`${state}  ${name}  ${path}\n`);
    // A file that was changed would never be fetched again.
    if (!isRight && stored.some((one) => one.path === path)) await removeStored(store.folder, sha256);
  }
  const total = stored.length + local.length;
  const ending =
    wrong === 0
      ? ""
      : `, ${wrong} ${wrong === 1 ? "differs" : "differ"}; those in ${store.folder} were removed and are fetched again`;
  out.write(`${total} ${total === 1 ? "file" : "files"}${ending}\n`);
  return (wrong === 0 ? exitCodes.ok : exitCodes.failed).code;
}

/** Removes models that no app has used for some days, and what is left of broken fetches. */
async function prune({ context, store }: ModelWork): Promise<number> {
  const text = context.args.own.get("days") ?? String(defaultDays);
  const days = Number(text);
  if (!/^\d{1,5}$/.test(text)) throw fail("invalid_flag", { problem: `--days is ${text}; it takes a whole number` });
  const isOld = ({ usedAt }: KeptModel) => Date.now() - usedAt >= days * dayMs;
  const old = (await listStored(store.folder)).filter(isOld);
  const { out } = context.terminal;
  for (const { sha256, name, version, bytes, usedAt } of old) {
    await removeStored(store.folder, sha256);
    const age = `last used ${new Date(usedAt).toISOString().slice(0, 10)}`;
    out.write(`removed ${formatModel({ name, version })}  ${formatMegabytes(bytes)}  ${age}\n`);
  }
  const left = await removeParts(store.folder, dayMs);
  const freed = old.reduce((sum, { bytes }) => sum + bytes, left);
  out.write(`${old.length} ${old.length === 1 ? "model" : "models"} removed, ${formatMegabytes(freed)} freed\n`);
  return exitCodes.ok.code;
}

/** Shows the progress of a fetch in one line of a terminal; on anything else nothing. */
function showProgress(output: Output): (progress: ModelProgress) => void {
  if (!output.isTerminal) return () => {};
  return ({ model, doneBytes, totalBytes }) => {
    const isWhole = doneBytes === totalBytes;
    const total = totalBytes === undefined ? "" : ` of ${formatMegabytes(totalBytes)}`;
    output.write(`\r\u001b[K${isWhole ? "" : `${model}: ${formatMegabytes(doneBytes)}${total}`}`);
  };
}
