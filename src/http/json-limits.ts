/** Bounds of a JSON text. */
export interface JsonLimits {
  /** Levels of lists and objects. */
  readonly maxBodyDepth: number;
  /** Numbers, texts, lists, objects and so on. */
  readonly maxBodyValues: number;
  /** Of a body of several texts, a form: the values of those that were read, which count for the next one too. */
  readonly read?: { values: number };
}
