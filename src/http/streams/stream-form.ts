import { bytesType, eventsType, linesType, textType } from "../media-type.js";
import type { OutputForm } from "../output-form.js";

/** How the items of a stream become the bytes of a response. */
export interface StreamForm {
  readonly contentType: string;
  /** Whether items are sent as they are (text, bytes) instead of as JSON. */
  readonly isRaw: boolean;
  /** The bytes of one item: JSON text, or the item itself when raw. */
  frame(item: string): string;
  /** What tells a failure to a reader who already has items; `undefined` where the form has no room for it. */
  readonly frameFailure: ((body: string) => string) | undefined;
  /** What a reader skips, for a stream that is silent; `undefined` where every byte counts. */
  readonly signOfLife: string | undefined;
  /** Whether the response may end in order after a failure, since no reader can miss it. */
  readonly isExplicit: boolean;
}

const utf8 = "; charset=utf-8";
const asIs = (item: string): string => item;

const events: StreamForm = {
  contentType: eventsType + utf8,
  isRaw: false,
  frame: (item) => `data: ${item}\n\n`,
  frameFailure: (body) => `event: error\ndata: ${body}\n\n`,
  signOfLife: ": \n\n",
  isExplicit: true,
};
const lines: StreamForm = {
  contentType: linesType + utf8,
  isRaw: false,
  frame: (item) => `${item}\n`,
  frameFailure: (body) => `${body}\n`,
  signOfLife: "\n",
  isExplicit: false,
};
const text: StreamForm = {
  contentType: textType + utf8,
  isRaw: true,
  frame: asIs,
  frameFailure: undefined,
  signOfLife: undefined,
  isExplicit: false,
};
const bytes: StreamForm = { ...text, contentType: bytesType };

const forms: ReadonlyMap<string, StreamForm> = new Map([
  [eventsType, events],
  [linesType, lines],
  [textType, text],
  [bytesType, bytes],
]);

/** The form for a media type that `streamOffers` named. */
export const streamFormOf = (mediaType: string): StreamForm => forms.get(mediaType) ?? lines;

/** What a stream may be written as, the default first; an api whose schema says nothing is told by its first item. */
export function streamOffers({ schema, offers }: OutputForm, first: unknown): readonly string[] {
  if (Object.keys(schema).length > 0) return offers;
  if (typeof first === "string") return [textType, linesType, eventsType];
  if (first instanceof Uint8Array) return [bytesType, linesType, eventsType];
  return [linesType, eventsType];
}
