import { PacedWork } from "../base/clock.js";
import { endOfString, isDeeper } from "../base/is-deeper.js";
import { fail } from "../failure/failures.js";
import { checkNumbers, type JsonLimits, refuseForbiddenKeys, refuseLongNumbers } from "./check-json.js";

// A long JSON text, parsed in slices of whole items.
//
// S1  Each character is looked at once here and once by JSON.parse, which alone says what a value is: here only brackets,
//     commas and strings are told apart.
// S2  A slice ends behind an item of the innermost level that was opened (`#opened`); lists and objects that are still open
//     when a slice is long enough are opened: made here, and filled slice by slice.
// S3  The bounds hold for what was seen, not for what is parsed: the text is refused before its values are made.

/** Characters of a slice, if no single item is longer. */
const sliceLength = 65_536;
/** Milliseconds after which others have a turn: a small request takes several, and meets a slice at each. */
const turnMs = 4;

/** A list or an object that is open where the text is read. */
interface Level {
  readonly isList: boolean;
  /** Where its bracket stands. */
  readonly from: number;
  /** Of its last comma; -1 for none. */
  comma: number;
  /** What it is filled into, once it was opened (S2). */
  target: unknown[] | Record<string, unknown> | undefined;
  /** Of an opened one: from where on its items were not parsed yet. */
  rest: number;
  /** Whether its last item was opened itself and is there already. */
  isPlaced: boolean;
  /** Of an opened object: the key of the item that was opened in it. */
  key: string;
  /** Commas of an object; a list's are not counted. */
  fields: number;
}

/** One object may have this part of the values of a body: its table grows, and its schema reads it, in one turn. */
const fieldShare = 1 / 16;

export class JsonSlices {
  readonly #text: string;
  readonly #limits: JsonLimits;
  readonly #levels: Level[] = [];
  /** How many of the levels were opened. */
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

  /** @throws {ServingError} `body_too_deep`, `too_many_values`, `too_many_fields`, `invalid_json`, `forbidden_key`, `inexact_number`. */
  parse(): unknown {
    while (this.#step());
    return this.#finish();
  }

  /** The same, with pauses in which others have a turn. */
  async parseInTurns(): Promise<unknown> {
    const work = new PacedWork(turnMs);
    while (this.#step()) if (work.isRestDue) await work.rest();
    return this.#finish();
  }

  #finish(): unknown {
    if (this.#limits.read !== undefined) this.#limits.read.values = this.#values;
    // One that was opened is whole by now, and opened no more.
    if (this.#root === undefined) return this.#parse(0, this.#text.length, ["", ""]);
    if (this.#levels.length > 0) this.#refuse(this.#text.length, "Unexpected end of JSON input");
    return this.#root;
  }

  /** Reads on to the end of a slice. @returns False at the end of the text. */
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

  /** Behind an item that was opened nothing may stand before the comma or the bracket at `at`. */
  #leavePlaced(level: Level, at: number): void {
    if (!isBlank(this.#text, level.rest, at)) this.#refuseRest(level.rest);
    level.isPlaced = false;
    level.rest = at + 1;
  }

  /** Parses what is whole, and opens what is not (S2). */
  #cut(): void {
    const levels = this.#levels;
    for (let i = Math.max(0, this.#opened - 1); i < levels.length; i++) {
      const level = levels[i] as Level;
      if (level.target === undefined) this.#open(level, levels[i - 1], levels[i - 2]);
      if (level.comma < level.rest) continue;
      // Of its own, a piece of nothing would be a list of nothing.
      if (isBlank(this.#text, level.rest, level.comma)) this.#refuseSign(level.comma);
      this.#fill(level, level.comma, levels[i - 1]);
      level.rest = level.comma + 1;
    }
  }

  /** Makes a list or an object, and puts it into the one around it. */
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
      // With a digit in its place a number before the bracket would go on in it.
      const keys = Object.keys(this.#parse(parent.rest, level.from, ["{", "null}"], parent) as object);
      if (keys.length !== 1) this.#refuseSign(level.from);
      const [key = ""] = keys;
      if (key === "prototype" && grandparent?.key === "constructor") this.#refuseConstructor();
      parent.key = key;
      (parent.target as Record<string, unknown>)[key] = level.target;
    }
  }

  /** Parses the items of an opened level from its `rest` on, and puts them into it. */
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

  /** @param brackets What is put around the piece to make it a text of its own. */
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

  /** Where a path within a piece is in the whole: behind the keys and indices of the levels around it. */
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

  /** The place in the message of a piece's own error is made that in the whole text. */
  #refuse(from: number, message: string, before = 0): never {
    const problem = message
      .replace(/ \(line \d+ column \d+\)$/, "")
      .replace(/at position (\d+)/, (_, at) => `at position ${from + Number(at) - before}`);
    throw fail("invalid_json", { problem });
  }
}

const isBlank = (text: string, from: number, to: number): boolean => /^[ \t\r\n]*$/.test(text.slice(from, to));

/** Characters of which any text is parsed and checked within some milliseconds. */
const shortLength = 131_072;
/** Of one text of several: shorter ones are not counted, and a body has a thousand at most. */
const shortPartLength = 512;

/**
 * Parses the JSON text of a body: no key that could reach a prototype, no nesting that could overflow a stack, no more values
 * than a program could look at, no number that would become another one.
 *
 * @throws {ServingError} `body_too_deep`, `too_many_values`, `too_many_fields`, `invalid_json`, `forbidden_key`, `inexact_number`.
 */
export function parseJson(text: string, limits: JsonLimits): unknown {
  return text.length <= Math.min(shortLength, limits.maxBodyValues)
    ? parseShort(text, limits)
    : new JsonSlices(text, limits).parse();
}

/** `parseJson` in slices where the text is long: others have a turn between them, and a promise is given. */
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
