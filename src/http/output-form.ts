import { shapeJsonSchema } from "../define/contract.js";
import type { ApiDescriptor } from "../define/descriptor.js";
import type { FileSchema } from "../define/file.js";
import { isSchema, type JsonSchema, type Shape } from "../define/schema.js";
import { coreOf } from "../define/schema-form.js";
import { fail } from "../failure/failures.js";
import { hasDateForm } from "./input-form.js";
import { bytesType, eventsType, linesType, npyType, textType } from "./media-type.js";

/** Forms of values that JSON has no notation for. */
export interface JsonForm {
  /** `lists`: nested arrays. `base64`: `{ dtype, shape, data }`. */
  readonly tensors: "lists" | "base64";
}

/** Form of an answer, derived once from each distinct `accept` header. */
export interface AnswerForm extends JsonForm {
  /** `undefined` when the client accepts everything. */
  readonly ranges: readonly AcceptRange[] | undefined;
}

/** Forms in which one api may answer; derived once from its contract. */
export interface OutputForm {
  readonly schema: JsonSchema;
  /** Media types, the default first. A pattern (`"image/*"`) stands for a type that is known only with the answer. */
  readonly offers: readonly string[];
  /** Results for `accept` headers seen before. */
  readonly known: Map<string, AnswerForm>;
}

const json = "application/json";

/** Derives the forms in which an api may answer. */
export function createOutputForm({ kind, contract }: ApiDescriptor): OutputForm {
  const shape = (kind === "stream" ? contract.yields : contract.output) as Shape;
  const core = isSchema(shape) ? coreOf(shape, "output") : undefined;
  const type = core?.kind === "leaf" ? core.type : undefined;
  // Bytes as a whole are answered as such, not as the base64 text that they are inside JSON.
  const schema = type === "bytes" ? {} : shapeJsonSchema(shape, "output");
  const isUnknown = Object.keys(schema).length === 0;
  const isText = schema["type"] === "string" && !hasDateForm(schema);
  const known = new Map<string, AnswerForm>();
  if (kind === "stream") {
    const plain = isText ? [textType, linesType] : isUnknown ? [linesType, textType, bytesType] : [linesType];
    return { schema, offers: [...plain, eventsType], known };
  }
  if (type === "tensor") return { schema, offers: [json, npyType, "application/npy"], known };
  if (core?.kind === "leaf" && type === "file") {
    const given = core.own === undefined ? [] : (core.own as FileSchema).file.contentTypes;
    return { schema, offers: [...(given.length > 0 ? given : ["*/*"]), json], known };
  }
  if (isUnknown) return { schema, offers: [json, "*/*"], known };
  return { schema, offers: isText ? [json, textType] : [json], known };
}

const anything: AnswerForm = { ranges: undefined, tensors: "lists" };

/** Headers remembered per api. Clients send few different ones; further headers are parsed each time. */
const maxKnown = 64;
const maxKnownLength = 256;

/**
 * Returns the form of answer that an `accept` header asks for.
 *
 * @throws {ServingError} `not_acceptable` when the header already rules out every form.
 */
export function pickAnswer(output: OutputForm, accept: string | undefined): AnswerForm {
  if (accept === undefined || accept === "*/*") return anything;
  const known = output.known.get(accept);
  if (known !== undefined) return known;
  const ranges = parseAccept(accept);
  if (ranges.length === 0) return anything;
  if (pickType(ranges, output.offers) === undefined) throw notAcceptable(accept, output.offers);
  const tensors = matchRange(ranges, json)?.parameters.get("tensors") === "base64" ? "base64" : "lists";
  const form: AnswerForm = { ranges, tensors };
  if (output.known.size < maxKnown && accept.length <= maxKnownLength) output.known.set(accept, form);
  return form;
}

/**
 * Picks the media type of one answer.
 *
 * @param offers Media types that this answer can be written as, the default first; no patterns.
 * @throws {ServingError} `not_acceptable`.
 */
export function pickOffer({ ranges }: AnswerForm, offers: readonly string[]): string {
  if (ranges === undefined) return offers[0] as string;
  const offer = pickType(ranges, offers);
  if (offer !== undefined) return offer;
  throw notAcceptable(ranges.map((range) => `${range.type}/${range.subtype}`).join(", "), offers);
}

const notAcceptable = (accept: string, offered: readonly string[]) => fail("not_acceptable", { accept, offered });

/** One range of an `accept` header (RFC 9110, section 12.5.1). */
interface AcceptRange {
  readonly type: string;
  readonly subtype: string;
  /** 0 refuses it, 1 is best. */
  readonly quality: number;
  /** Lower-case names. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** Parses an `accept` header. Parts that are no media range are skipped. */
export function parseAccept(header: string): readonly AcceptRange[] {
  return header.split(",").flatMap((part) => {
    const [name = "", ...rest] = part.split(";").map((text) => text.trim());
    const [type, subtype] = name.toLowerCase().split("/");
    if (!type || !subtype) return [];
    const parameters = new Map(rest.map(readParameter));
    const quality = Number(parameters.get("q") ?? 1);
    return [{ type, subtype, quality: quality >= 0 && quality <= 1 ? quality : 0, parameters }];
  });
}

function readParameter(text: string): [string, string] {
  const equals = text.indexOf("=");
  if (equals < 0) return [text.toLowerCase(), ""];
  return [
    text.slice(0, equals).trim().toLowerCase(),
    text
      .slice(equals + 1)
      .trim()
      .replace(/^"(.*)"$/, "$1"),
  ];
}

/**
 * Returns the offered media type that a client likes best: by quality, then by how exactly it was named, then in the
 * order offered.
 *
 * @param offers May contain patterns (`"image/*"`) for types that are known only with the answer.
 * @returns `undefined` when no offer fits.
 */
export function pickType(ranges: readonly AcceptRange[], offers: readonly string[]): string | undefined {
  let best: { readonly offer: string; readonly quality: number; readonly exactness: number } | undefined;
  for (const offer of offers) {
    const range = matchRange(ranges, offer);
    if (range === undefined || range.quality === 0) continue;
    const { quality } = range;
    const exactness = exactnessOf(range);
    if (best === undefined || quality > best.quality || (quality === best.quality && exactness > best.exactness)) {
      best = { offer, quality, exactness };
    }
  }
  return best?.offer;
}

/** Returns the range that matches an offer most exactly. */
export function matchRange(ranges: readonly AcceptRange[], offer: string): AcceptRange | undefined {
  const [type = "", subtype = ""] = offer.split("/");
  let match: AcceptRange | undefined;
  for (const range of ranges) {
    if (!fits(range.type, type) || !fits(range.subtype, subtype)) continue;
    if (match === undefined || exactnessOf(range) > exactnessOf(match)) match = range;
  }
  return match;
}

const fits = (range: string, offered: string): boolean => range === "*" || offered === "*" || range === offered;

const exactnessOf = (range: AcceptRange): number =>
  range.type === "*" ? 0 : range.subtype === "*" ? 1 : 2 + range.parameters.size / 100;
