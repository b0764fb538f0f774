/** Bounds of a JSON text. */
export interface JsonLimits {
  /** Levels of lists and objects. */
  readonly maxBodyDepth: number;
  /** Numbers, texts, lists, objects and so on. */
  readonly maxBodyValues: number;
}
