import { cleanFileName } from "../base/file-name.js";
import { isDeeper } from "../base/is-deeper.js";
import { promisedInput } from "../base/promised-input.js";
import type { SubmitOptions } from "../define/handle-type.js";
import { fail } from "../failure/client-failures.js";
import type { CallLimit, CallPlace } from "./call-limit.js";
import type { ClientCallOptions } from "./client-type.js";
import { encodeInput, reviveValue } from "./encode-input.js";
import {
  createLimit,
  cutOff,
  type Endpoint,
  type RemoteApi,
  readText,
  retriesOf,
  type Sending,
  sendRequest,
} from "./endpoint.js";
import { repeatCall } from "./repeat-call.js";
import { createUpload, isItems, type Upload } from "./upload.js";

/** Asks for tensors in JSON as base64, which is exact and a quarter of the size of lists of numbers. */
const acceptJson = "application/json; tensors=base64";
/** Asks for files, and for outputs without a schema: any type as it is, but tensors and texts still as JSON. */
const acceptAny = `*/*, ${acceptJson}; q=0.9, text/plain; q=0, application/x-npy; q=0, application/npy; q=0`;

/**
 * Calls a unary api over HTTP.
 *
 * @throws {ServingError} The failure that the server answered with; `connect_failed`, `connection_lost`,
 *   `invalid_response`, `deadline_exceeded`, `cancelled`, `not_transferable`.
 */
export async function callApi(
  endpoint: Endpoint,
  api: RemoteApi,
  input: unknown,
  options: ClientCallOptions & SubmitOptions = {},
): Promise<unknown> {
  const limit = createLimit(endpoint, placeOf(api), options);
  let call: PreparedCall | undefined;
  try {
    const { sending, ...rules } = (call = await prepareCall(endpoint, limit, {
      api,
      input,
      options,
      accept: acceptOf(api),
    }));
    return await repeatCall(async () => {
      const response = await sendRequest(endpoint, limit, sending);
      return readAnswer(response, limit, api, endpoint.base + api.route);
    }, rules);
  } finally {
    call?.upload?.stop();
    limit.release();
  }
}

/** Returns the `accept` header for an api. */
export const acceptOf = (api: RemoteApi): string =>
  isFile(api) || Object.keys(api.output).length === 0 ? acceptAny : acceptJson;

/** One call, before its request is made. */
interface Posting {
  readonly api: RemoteApi;
  /** The input, a promise of it, or an object with promises in its fields. */
  readonly input: unknown;
  readonly options: ClientCallOptions & SubmitOptions;
  readonly accept: string;
}

/** The request of a call, its input encoded, and the rules for repeating it. */
export interface PreparedCall {
  readonly sending: Sending;
  /** Upload of an input that is a stream. It may still be running when the response begins. */
  readonly upload: Upload | undefined;
  readonly retries: number;
  readonly limit: CallLimit;
  readonly place: CallPlace;
  readonly isIdempotent: boolean;
}

/** Encodes the input of a call. An input that is a stream is sent once: no failure repeats such a call. */
export async function prepareCall(endpoint: Endpoint, limit: CallLimit, posting: Posting): Promise<PreparedCall> {
  const { api, options, accept } = posting;
  const { priority, key, delayMs, keepalive, headers: callHeaders } = options;
  const input = await limit.guard(holdInput(posting.input));
  const upload =
    api.uploads.length > 0 && isItems(input) ? await limit.guard(openUpload(input, api, limit)) : undefined;
  const { body, headers } = upload ?? (await limit.guard(encodeInput(input, api.filePaths)));
  const own = {
    ...{ ...headers, accept },
    ...(priority && { "ekiben-priority": priority }),
    ...(delayMs !== undefined && { "ekiben-delay-ms": String(delayMs) }),
  };
  const place = placeOf(api);
  return {
    sending: {
      ...{ method: "POST", path: api.route, body, callHeaders, keepalive, place },
      headers: key === undefined ? own : { ...own, "idempotency-key": key },
    },
    ...{ upload, limit, place },
    retries: upload === undefined ? retriesOf(endpoint, options) : 0,
    // The same key gives the same task.
    isIdempotent: api.isIdempotent || key !== undefined,
  };
}

const asIs = <T>(fields: T): T => fields;

/**
 * Returns an input as it is, or the promise of it. Called in the turn of the call: a promise of the caller may reject
 * before the request is made, and must then be no unhandled rejection.
 */
export function holdInput(input: unknown): unknown {
  const promised = promisedInput(input, asIs);
  promised?.catch(() => {});
  return promised ?? input;
}

const openUpload = (input: AsyncIterable<unknown> | Iterable<unknown>, api: RemoteApi, limit: CallLimit) =>
  createUpload(input, { mediaTypes: api.uploads, limit, place: placeOf(api) });

/** Parses one value of an answer and restores its tensors and files. */
export function parseValue(text: string, api: RemoteApi, url: string): unknown {
  try {
    if (isDeeper(text, maxDepth)) throw new Error(`it is nested more than ${maxDepth} levels deep`);
    return reviveValue(JSON.parse(text), api.output);
  } catch (cause) {
    throw fail("invalid_response", { url, problem: (cause as Error).message }, { ...placeOf(api), cause });
  }
}

/**
 * Deepest answer that is parsed. An ekiben server writes 500 levels at most; deeper nesting overflows the stack of
 * code that walks it.
 */
const maxDepth = 1_000;

export const placeOf = ({ service, name }: RemoteApi) => ({ service, api: name });

const isFile = ({ output }: RemoteApi): boolean => output["title"] === "file";

/**
 * Reads the value of an answer.
 *
 * @throws {ServingError} `invalid_response`; the reason with which the limit ended the call.
 */
export async function readAnswer(response: Response, limit: CallLimit, api: RemoteApi, url: string): Promise<unknown> {
  if (response.status === 204) return undefined;
  const contentType = response.headers.get("content-type") ?? "";
  const essence = contentType.split(";", 1)[0]?.trim().toLowerCase() ?? "";
  // A file may itself be JSON. Only its name tells it from a file written as JSON.
  const disposition = response.headers.get("content-disposition");
  if (essence === "application/json" && disposition === null) {
    return parseValue(await readText(response, limit, url), api, url);
  }
  if (essence === "text/plain" && disposition === null && !isFile(api)) return readText(response, limit, url);
  let bytes: Uint8Array<ArrayBuffer>;
  try {
    bytes = new Uint8Array(await limit.guard(response.arrayBuffer()));
  } catch (cause) {
    throw limit.reason ?? cutOff(url, cause);
  }
  if (essence === "application/octet-stream" && disposition === null && !isFile(api)) return bytes;
  return new File([bytes], cleanFileName(readFileName(disposition ?? "")), { type: contentType });
}

/** Reads the file name of a `content-disposition`, in the forms that servers of ekiben write; `""` without one. */
function readFileName(disposition: string): string {
  const [, exact] = /filename\*=utf-8''([^;]+)/i.exec(disposition) ?? [];
  const [, plain = ""] = /filename="?([^";]*)/i.exec(disposition) ?? [];
  try {
    return exact === undefined ? plain : decodeURIComponent(exact);
  } catch {
    return plain;
  }
}
