import { shapeJsonSchema } from "../define/contract.js";
import type { ApiDescriptor } from "../define/descriptor.js";
import { isFileSchema } from "../define/file.js";
import type { JsonSchema, Shape } from "../define/schema.js";
import { isTensorSchema } from "../define/tensor-schema.js";
import { fail } from "../failure/failures.js";
import type { JsonForm } from "./encode-json.js";
import { bytesType, eventsType, linesType, npyType, textType } from "./media-type.js";

/** What a client asked for, worked out once for each `accept` header it may send. */
export interface AnswerForm extends JsonForm {
  /** `undefined` when the client takes anything. */
  readonly ranges: readonly AcceptRange[] | undefined;
}

/** In which forms one api may answer; worked out once from its contract. */
export interface OutputForm {
  readonly schema: JsonSchema;
  /** Media types, the default first. A pattern (`"image/*"`) stands for what is known once the answer is there. */
  readonly offers: readonly string[];
  /** What became of `accept` headers seen before. */
  readonly known: Map<string, AnswerForm>;
}

const json = "application/json";

/** Works out in which forms an api may answer. */
export function createOutputForm({ kind, contract }: ApiDescriptor): OutputForm {
  const shape = (kind === "stream" ? contract.yields : contract.output) as Shape;
  const schema = shapeJsonSchema(shape, "output");
  const isUnknown = Object.keys(schema).length === 0;
  const isText = schema["type"] === "string";
  const known = new Map<string, AnswerForm>();
  if (kind === "stream") {
    const plain = isText ? [textType, linesType] : isUnknown ? [linesType, textType, bytesType] : [linesType];
    return { schema, offers: [...plain, eventsType], known };
  }
  if (isTensorSchema(shape)) return { schema, offers: [json, npyType, "application/npy"], known };
  if (isFileSchema(shape)) {
    const given = shape.file.contentTypes;
    return { schema, offers: [...(given.length > 0 ? given : ["*/*"]), json], known };
  }
  if (isUnknown) return { schema, offers: [json, "*/*"], known };
  return { schema, offers: isText ? [json, textType] : [json], known };
}

const anything: AnswerForm = { ranges: undefined, tensors: "lists" };

/** Headers kept for each api; clients send few different ones, and whoever sends more pays for reading them. */
const maxKnown = 64;
const maxKnownLength = 256;

/**
 * What an `accept` header asks for, of an api that answers in certain forms.
 *
 * @throws {ServingError} `not_acceptable` when it already rules out every form.
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
 * @param offers What this very answer can be written as, the default first; no patterns.
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

/** Reads an `accept` header; what is no media range in it is passed over. */
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
 * The offered media type a client likes best: by quality, then by how exactly it was named, then in the order offered.
 *
 * @param offers May hold patterns (`"image/*"`), for what is only known once the answer is there.
 * @returns      `undefined` when none of them fits.
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

/** The range that says most exactly what the client thinks of an offer. */
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
