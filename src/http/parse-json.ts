import { PacedWork } from "../base/clock.js";
import { endOfString, isDeeper } from "../base/is-deeper.js";
import { fail } from "../failure/failures.js";
import { checkNumbers, type JsonLimits, refuseForbiddenKeys, refuseLongNumbers } from "./check-json.js";

// Parses a long JSON text in slices of whole items.
//
// HJ1  Each character is read once here and once by JSON.parse, which alone decides what a value is. This file only
//      tells brackets, commas and strings apart.
// HJ2  A slice ends after an item of the innermost opened level (`#opened`). Lists and objects that are still open
//      when a slice is long enough are opened: created here and filled slice by slice.
// HJ3  Bounds are checked on the text that was read, before its values are created.

/** Characters of a slice, if no single item is longer. */
const sliceLength = 65_536;
/**
 * Milliseconds after which the event loop gets a turn. A small request needs several turns and waits for one slice at
 * each.
 */
const turnMs = 4;

/** A list or an object that is open at the current position. */
interface Level {
  readonly isList: boolean;
  /** Index of its bracket. */
  readonly from: number;
  /** Index of its last comma; -1 for none. */
  comma: number;
  /** Target that items are put into, once the level was opened (HJ2). */
  target: unknown[] | Record<string, unknown> | undefined;
  /** Index of the first item that was not parsed yet, in an opened level. */
  rest: number;
  /** True when the last item was opened itself and is in place already. */
  isPlaced: boolean;
  /** Key of the item that was opened, in an opened object. */
  key: string;
  /** Commas of an object; the commas of a list are not counted. */
  fields: number;
}

/** Part of a body's values that one object may have: its table grows, and its schema reads it, without a pause. */
const fieldShare = 1 / 16;

export class JsonSlices {
  readonly #text: string;
  readonly #limits: JsonLimits;
  readonly #levels: Level[] = [];
  /** Number of opened levels. */
  #opened = 0;
  #at = 0;
  #sliceFrom = 0;
  #values: number;
  #root: unknown;

  constructor(text: string, limits: JsonLimits) {
    this.#text = text;
    this.#limits = limits;
    this.#values = (limits.read?.values ?? 0) + 1;
  }

  /**
   * Parses the text without a pause.
   *
   * @throws {ServingError} `body_too_deep`, `too_many_values`, `too_many_fields`, `invalid_json`, `forbidden_key`,
   *   `inexact_number`.
   */
  parse(): unknown {
    while (this.#step());
    return this.#finish();
  }

  /** Parses the text with pauses in which the event loop gets a turn. */
  async parseInTurns(): Promise<unknown> {
    const work = new PacedWork(turnMs);
    while (this.#step()) if (work.isRestDue) await work.rest();
    return this.#finish();
  }

  #finish(): unknown {
    if (this.#limits.read !== undefined) this.#limits.read.values = this.#values;
    // An opened level is complete by now and is not opened again.
    if (this.#root === undefined) return this.#parse(0, this.#text.length, ["", ""]);
    if (this.#levels.length > 0) this.#refuse(this.#text.length, "Unexpected end of JSON input");
    return this.#root;
  }

  /** Reads to the end of a slice. @returns False at the end of the text. */
  #step(): boolean {
    const text = this.#text;
    const end = Math.min(text.length, this.#sliceFrom + sliceLength);
    for (let at = this.#at; at < text.length; at++) {
      switch (text.charCodeAt(at)) {
        case 0x22: // "
          at = endOfString(text, at + 1);
          break;
        case 0x2c: // ,
          this.#count();
          this.#onComma(at);
          break;
        case 0x5b: // [
        case 0x7b: // {
          this.#count();
          this.#onOpen(at, text.charCodeAt(at) === 0x5b);
          break;
        case 0x5d: // ]
        case 0x7d: // }
          this.#onClose(at, text.charCodeAt(at) === 0x5d);
          break;
        default:
          continue;
      }
      if (at < end) continue;
      this.#at = at + 1;
      this.#cut();
      this.#sliceFrom = this.#at;
      return true;
    }
    this.#at = text.length;
    return false;
  }

  #count(): void {
    const { maxBodyValues } = this.#limits;
    if (++this.#values > maxBodyValues) throw fail("too_many_values", { maxBodyValues });
  }

  #countField(level: Level): void {
    const maxFields = Math.floor(this.#limits.maxBodyValues * fieldShare);
    if (++level.fields >= maxFields) throw fail("too_many_fields", { maxFields });
  }

  #onOpen(from: number, isList: boolean): void {
    const { maxBodyDepth } = this.#limits;
    const levels = this.#levels;
    if (levels.length === maxBodyDepth) throw fail("body_too_deep", { maxBodyDepth });
    const parent = levels[levels.length - 1];
    if (parent === undefined ? this.#root !== undefined : parent.isPlaced) this.#refuseSign(from);
    levels.push({ isList, from, comma: -1, target: undefined, rest: from + 1, isPlaced: false, key: "", fields: 0 });
  }

  #onComma(at: number): void {
    const level = this.#levels[this.#levels.length - 1];
    if (level === undefined) this.#refuseSign(at);
    level.comma = at;
    if (!level.isList) this.#countField(level);
    if (level.isPlaced) this.#leavePlaced(level, at);
  }

  #onClose(at: number, isList: boolean): void {
    const level = this.#levels.pop();
    if (level === undefined || level.isList !== isList) this.#refuseSign(at);
    if (level.target === undefined) return;
    const parent = this.#levels[this.#levels.length - 1];
    if (level.isPlaced) this.#leavePlaced(level, at);
    else if (level.rest > level.from + 1 && isBlank(this.#text, level.rest, at)) this.#refuseSign(at);
    else this.#fill(level, at, parent);
    this.#opened--;
    if (parent === undefined) {
      if (!isBlank(this.#text, at + 1, this.#text.length)) this.#refuseRest(at + 1);
      return;
    }
    parent.isPlaced = true;
    parent.rest = at + 1;
  }

  /** Checks that only white space stands between an opened item and the comma or bracket at `at`. */
  #leavePlaced(level: Level, at: number): void {
    if (!isBlank(this.#text, level.rest, at)) this.#refuseRest(level.rest);
    level.isPlaced = false;
    level.rest = at + 1;
  }

  /** Parses the complete items and opens the incomplete ones (HJ2). */
  #cut(): void {
    const levels = this.#levels;
    for (let i = Math.max(0, this.#opened - 1); i < levels.length; i++) {
      const level = levels[i] as Level;
      if (level.target === undefined) this.#open(level, levels[i - 1], levels[i - 2]);
      if (level.comma < level.rest) continue;
      // An empty piece would parse as an empty list.
      if (isBlank(this.#text, level.rest, level.comma)) this.#refuseSign(level.comma);
      this.#fill(level, level.comma, levels[i - 1]);
      level.rest = level.comma + 1;
    }
  }

  /** Creates a list or an object and puts it into its parent. */
  #open(level: Level, parent: Level | undefined, grandparent: Level | undefined): void {
    level.target = level.isList ? [] : {};
    this.#opened++;
    if (parent === undefined) {
      if (!isBlank(this.#text, 0, level.from)) this.#refuseRest(0);
      this.#root = level.target;
    } else if (parent.isList) {
      if (!isBlank(this.#text, parent.rest, level.from)) this.#refuseRest(parent.rest);
      (parent.target as unknown[]).push(level.target);
    } else {
      // `null` stands for the opened value. A digit in its place would continue a number before the bracket.
      const keys = Object.keys(this.#parse(parent.rest, level.from, ["{", "null}"], parent) as object);
      if (keys.length !== 1) this.#refuseSign(level.from);
      const [key = ""] = keys;
      if (key === "prototype" && grandparent?.key === "constructor") this.#refuseConstructor();
      parent.key = key;
      (parent.target as Record<string, unknown>)[key] = level.target;
    }
  }

  /** Parses the items of an opened level from its `rest` on, and adds them to it. */
  #fill(level: Level, to: number, parent: Level | undefined): void {
    if (level.isList) {
      const items = this.#parse(level.rest, to, ["[", "]"], level) as unknown[];
      // Not spread: a slice may have more items than a call may have arguments.
      for (const item of items) (level.target as unknown[]).push(item);
      return;
    }
    const fields = this.#parse(level.rest, to, ["{", "}"], level) as object;
    if (parent?.key === "constructor" && Object.hasOwn(fields, "prototype")) this.#refuseConstructor();
    Object.assign(level.target as object, fields);
  }

  #refuseConstructor(): never {
    throw fail("forbidden_key", { key: "constructor.prototype" });
  }

  /** @param brackets Text around the piece that makes it complete JSON. */
  #parse(from: number, to: number, brackets: readonly [string, string], level?: Level): unknown {
    const piece = brackets[0] + this.#text.slice(from, to) + brackets[1];
    // Only an item that is long itself makes a piece so long.
    if (piece.length > 2 * sliceLength) refuseLongNumbers(piece);
    let value: unknown;
    try {
      value = JSON.parse(piece);
    } catch (error) {
      throw this.#refuse(from, (error as Error).message, brackets[0].length);
    }
    refuseForbiddenKeys(piece, value);
    checkNumbers(piece, value, (path) => this.#pathOf(path, level));
    return value;
  }

  /** Returns the path in the whole text for a path in a piece, by the keys and indices of the levels around it. */
  #pathOf(path: string, level: Level | undefined): string {
    let whole = "";
    for (const { isList, target, key } of this.#levels.slice(0, this.#opened)) {
      if (target === level?.target) break;
      whole += isList ? `[${(target as unknown[]).length - 1}]` : whole === "" ? key : `.${key}`;
    }
    const first = /^\[(\d+)\]/.exec(path);
    if (level?.isList && first !== null) {
      return `${whole}[${(level.target as unknown[]).length + Number(first[1])}]${path.slice(first[0].length)}`;
    }
    if (path === "") return whole === "" ? "its root" : whole;
    return whole === "" || path.startsWith("[") ? whole + path : `${whole}.${path}`;
  }

  #refuseSign(at: number): never {
    const sign = this.#text[at] ?? "";
    return this.#refuse(at, `Unexpected token '${sign}' in JSON at position 0`);
  }

  #refuseRest(from: number): never {
    const at = this.#text.slice(from).search(/[^ \t\r\n]/);
    return this.#refuseSign(from + Math.max(0, at));
  }

  /** Throws `invalid_json`. A position inside a piece becomes a position in the whole text. */
  #refuse(from: number, message: string, before = 0): never {
    const problem = message
      .replace(/ \(line \d+ column \d+\)$/, "")
      .replace(/at position (\d+)/, (_, at) => `at position ${from + Number(at) - before}`);
    throw fail("invalid_json", { problem });
  }
}

const isBlank = (text: string, from: number, to: number): boolean => /^[ \t\r\n]*$/.test(text.slice(from, to));

/** Characters up to which any text is parsed and checked within a few milliseconds. */
const shortLength = 131_072;
/** The same limit for one text of several in a form. Shorter texts are not counted; a body has a thousand at most. */
const shortPartLength = 512;

/**
 * Parses the JSON text of a body. Refuses keys that could reach a prototype, nesting that could overflow a stack,
 * more values than a program can process, and numbers that would change.
 *
 * @throws {ServingError} `body_too_deep`, `too_many_values`, `too_many_fields`, `invalid_json`, `forbidden_key`,
 *   `inexact_number`.
 */
export function parseJson(text: string, limits: JsonLimits): unknown {
  return text.length <= Math.min(shortLength, limits.maxBodyValues)
    ? parseShort(text, limits)
    : new JsonSlices(text, limits).parse();
}

/**
 * Parses like `parseJson`. Parses a long text in slices, with turns of the event loop between them, and returns a
 * promise.
 */
export function parseJsonInTurns(text: string, limits: JsonLimits): unknown | Promise<unknown> {
  const mostShort = limits.read === undefined ? shortLength : shortPartLength;
  return text.length <= Math.min(mostShort, limits.maxBodyValues)
    ? parseShort(text, limits)
    : new JsonSlices(text, limits).parseInTurns();
}

function parseShort(text: string, { maxBodyDepth }: JsonLimits): unknown {
  if (isDeeper(text, maxBodyDepth)) throw fail("body_too_deep", { maxBodyDepth });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw fail("invalid_json", { problem: (error as Error).message });
  }
  refuseForbiddenKeys(text, value);
  checkNumbers(text, value);
  return value;
}
