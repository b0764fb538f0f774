import { shapeJsonSchema } from "../define/contract.js";
import type { ApiDescriptor } from "../define/descriptor.js";
import { isFileSchema } from "../define/file.js";
import type { JsonSchema, Shape } from "../define/schema.js";
import { isTensorSchema } from "../define/tensor-schema.js";
import { fail } from "../failure/fail.js";
import { type AcceptRange, matchRange, parseAccept, pickType } from "./accept.js";
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
export function describeOutput({ kind, contract }: ApiDescriptor): OutputForm {
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
