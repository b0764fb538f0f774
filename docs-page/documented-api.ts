import { resolve, type Schema } from "./schema.js";

/** One content type of a body, as OpenAPI describes it. */
export interface Media {
  readonly schema?: Schema;
  readonly example?: unknown;
  readonly examples?: Readonly<Record<string, { readonly summary?: string; readonly value?: unknown }>>;
  /** Schema of each item, when the body is a stream. */
  readonly "x-ekiben-item"?: Schema;
}

type Content = Readonly<Record<string, Media>>;

export interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly required?: boolean;
  readonly description?: string;
  readonly schema?: Schema;
}

export interface Response {
  readonly description?: string;
  readonly content?: Content;
  readonly "x-ekiben-failures"?: readonly unknown[];
}

export interface Operation {
  readonly operationId?: string;
  readonly summary?: string;
  readonly description?: string;
  readonly parameters?: readonly Parameter[];
  readonly requestBody?: { readonly content?: Content };
  readonly responses?: Readonly<Record<string, Response>>;
  readonly "x-ekiben-service"?: string;
  readonly "x-ekiben-kind"?: string;
  /** Name of the task that this operation asks about. */
  readonly "x-ekiben-task-of"?: string;
}

/** The parts of `/openapi.json` that the page reads. */
export interface OpenApiDocument {
  readonly servers?: readonly { readonly url: string }[];
  readonly paths?: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
}

/** An api as the page shows it. */
export interface DocumentedApi {
  /** Id of its section, which links name. */
  readonly id: string;
  readonly name: string;
  readonly path: string;
  readonly operation: Operation;
  readonly isStream: boolean;
  readonly isTask: boolean;
  /** Content types of its answer. */
  readonly answers: Content;
}

/** Lists the apis of a document. Paths that ask about a task belong to the task's api and are left out. */
export function readApis(document: OpenApiDocument): readonly DocumentedApi[] {
  return Object.entries(document.paths ?? {}).flatMap(([path, { post: operation }]) => {
    if (operation === undefined || operation["x-ekiben-task-of"] !== undefined) return [];
    const name = operation.operationId || path.slice(1);
    const success = Object.entries(operation.responses ?? {}).find(([status]) => status.startsWith("2"))?.[1];
    const kind = operation["x-ekiben-kind"];
    const answers = resolve<Response>(success).content ?? {};
    const id = `api-${encodeURIComponent(name)}`;
    return [{ id, name, path, operation, isStream: kind === "stream", isTask: kind === "task", answers }];
  });
}

/** A path that asks about a task of an api: its status, its result. */
interface TaskPath {
  readonly path: string;
  readonly method: string;
  readonly operation: Operation;
}

export function readTaskPaths(document: OpenApiDocument, api: DocumentedApi): readonly TaskPath[] {
  return Object.entries(document.paths ?? {}).flatMap(([path, methods]) =>
    Object.entries(methods).flatMap(([method, operation]) =>
      operation["x-ekiben-task-of"] === api.name ? [{ path, method, operation }] : [],
    ),
  );
}

const essence = (type: string): string => (type.split(";", 1)[0] as string).trim().toLowerCase();

/** Returns a content type without its parameters; `""` for none. */
export const essenceOf = (type: string | null): string => essence(type ?? "");

export const isJsonType = (type: string): boolean =>
  essence(type) === "application/json" || essence(type).endsWith("+json");
