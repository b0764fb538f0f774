import { streamProblem } from "../call/streams/open-items.js";
import { type InputOf, isSchema, type OutputOf, type Schema, type Shape } from "./schema.js";

/** A schema for an input that is a stream, with what ekiben itself needs to know of it. */
export interface StreamSchema<I = any, O = I> extends Schema<AsyncIterable<I> | Iterable<I>, AsyncIterable<O>> {
  readonly stream: { readonly item: Shape };
}

/**
 * The input of an api that is a stream: `api({ input: stream(chunk), … }, async (chunks) => { for await (const chunk of chunks) … })`.
 *
 * The caller passes any `AsyncIterable` or `Iterable` of items, also the stream that another handle gave, unread; the api gets
 * an `AsyncIterable`, to be read once. Items are asked for only as fast as the api reads them, and each is checked when it is
 * read. Only an input as a whole can be a stream; an api answers with one by `yields`.
 *
 * @param item Of each item: a schema, or an object of them. Names of sizes in tensors hold within one item.
 */
export function stream<S extends Shape>(item: S): StreamSchema<InputOf<S>, OutputOf<S>> {
  const validate = (value: unknown) => {
    const message = streamProblem(value);
    return message === undefined ? { value } : { issues: [{ message }] };
  };
  return {
    stream: { item },
    "~standard": { version: 1, vendor: "ekiben", validate },
  } as unknown as StreamSchema<InputOf<S>, OutputOf<S>>;
}

/** Whether a schema was made by `stream()`. */
export function isStreamSchema(schema: unknown): schema is StreamSchema {
  return isSchema(schema) && typeof (schema as { stream?: unknown }).stream === "object";
}
