import { endOfString } from "../base/is-deeper.js";
import { fail } from "../failure/failures.js";

/** Smallest integer from which a double no longer holds every integer. */
const firstInexact = 2 ** 53;

/**
 * Refuses a JSON text with a number that no program would receive as it was sent: a number that becomes infinite, or
 * an integer that becomes another integer.
 *
 * Fractions are rounded to the nearest double, as everywhere. An integer is accepted when it is exact, or when
 * JavaScript writes exactly this text for the double it becomes.
 *
 * @param value The result of `JSON.parse`. Most bodies hold no such number, and their text is not read then.
 * @param at Returns a path in the body, in words.
 * @throws {ServingError} `invalid_json`, `inexact_number`.
 */
export function checkNumbers(text: string, value: unknown, at: (path: string) => string = formatPathFault): void {
  if (!holdsLarge(value) || areExact(text)) return;
  const scan = new NumberScan(text);
  for (let token = scan.next(); token !== undefined; token = scan.next()) {
    const number = Number(token);
    if (Number.isFinite(number) && (Math.abs(number) < firstInexact || isExact(token, number))) continue;
    const path = at(scan.path);
    if (!Number.isFinite(number)) throw fail("invalid_json", { problem: `the number at ${path} is too large` });
    throw fail("inexact_number", { path, number: token.length > 60 ? `${token.slice(0, 60)}…` : token });
  }
}

/**
 * Longest number that is accepted, in characters. No real number is longer. `JSON.parse` needs long for one of a
 * million digits and can't be interrupted.
 */
const mostNumberChars = 65_536;

/**
 * Refuses a JSON text with a number so long that parsing it would block the event loop.
 *
 * @throws {ServingError} `invalid_json`.
 */
export function refuseLongNumbers(text: string): void {
  // A number of this length has a character at one of these positions. Most texts have none there and are read no
  // further.
  for (let at = mostNumberChars; at < text.length; at += mostNumberChars) {
    if (isOfNumber(text.charCodeAt(at))) {
      refuseLongRun(text);
      return;
    }
  }
}

/** Strings may hold any number of digits. */
function refuseLongRun(text: string): void {
  let length = 0;
  for (let at = 0; at < text.length; at++) {
    const sign = text.charCodeAt(at);
    length = isOfNumber(sign) ? length + 1 : 0;
    if (sign === quote) at = endOfString(text, at + 1);
    if (length <= mostNumberChars) continue;
    throw fail("invalid_json", { problem: `it has a number of more than ${mostNumberChars} characters` });
  }
}

const formatPathFault = (path: string): string => (path === "" ? "its root" : path);

function isExact(token: string, number: number): boolean {
  if (!/^-?\d+$/.test(token)) return true;
  return String(number) === token || BigInt(number) === BigInt(token);
}

const [zero, nine, point, minus, plus] = [0x30, 0x39, 0x2e, 0x2d, 0x2b] as const;
const [quote, smallE, largeE] = [0x22, 0x65, 0x45] as const;
/** An integer with up to 15 digits is below 2^53. One with up to 20 digits is computed from two halves of 10. */
const [safeDigits, mostDigits, halfDigits] = [15, 20, 10] as const;
/** A number with so many digits before its point, and so large an exponent, is finite. */
const [finiteDigits, finiteExponent] = [200, 99] as const;

/**
 * True when every number of a JSON text is certain to arrive exactly. Reads a list of a million large numbers once
 * and allocates nothing. When it returns false, a number may still be exact.
 */
function areExact(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    let sign = text.charCodeAt(at);
    if (sign === quote) at = endOfString(text, at + 1);
    if (!isDigit(sign)) continue;
    let [high, low, digits] = [0, 0, 0];
    for (; isDigit(sign); sign = text.charCodeAt(++at)) {
      if (digits++ < halfDigits) high = high * 10 + sign - zero;
      else low = low * 10 + sign - zero;
    }
    if (sign !== point && sign !== smallE && sign !== largeE) {
      if (digits > mostDigits || (digits > safeDigits && !isWhole(high, low, digits))) return false;
      continue;
    }
    if (digits > finiteDigits) return false;
    if (sign === point)
      do sign = text.charCodeAt(++at);
      while (isDigit(sign));
    if (sign !== smallE && sign !== largeE) continue;
    sign = text.charCodeAt(++at);
    const isSmall = sign === minus;
    if (!isDigit(sign)) sign = text.charCodeAt(++at);
    let exponent = 0;
    for (; isDigit(sign); sign = text.charCodeAt(++at)) exponent = exponent * 10 + sign - zero;
    if (!isSmall && exponent > finiteExponent) return false;
  }
  return true;
}

const isOfNumber = (sign: number): boolean =>
  isDigit(sign) || sign === point || sign === minus || sign === plus || sign === smallE || sign === largeE;

const isDigit = (sign: number): boolean => sign >= zero && sign <= nine;

/**
 * True when a double holds an integer exactly. From 2^53 on a double holds the even integers, from 2^54 on every
 * fourth, and so on.
 */
function isWhole(high: number, low: number, digits: number): boolean {
  const power = 10 ** (digits - halfDigits);
  const near = high * power + low;
  let step = 1;
  for (let limit = firstInexact; near >= limit; limit *= 2) step *= 2;
  return ((high % step) * (power % step) + low) % step === 0;
}

function holdsLarge(value: unknown): boolean {
  if (typeof value === "number") return !(value > -firstInexact && value < firstInexact);
  if (typeof value !== "object" || value === null) return false;
  if (Array.isArray(value)) {
    // Long lists are lists of numbers: half a million of them take a millisecond.
    for (const item of value) {
      if (typeof item === "number" ? !(item > -firstInexact && item < firstInexact) : holdsLarge(item)) return true;
    }
    return false;
  }
  for (const key in value) if (holdsLarge((value as Record<string, unknown>)[key])) return true;
  return false;
}

/** A list or an object that the scan is inside. */
interface Level {
  /** Index of the current item, in a list. */
  index: number;
  /** Range of the current key with its quotes, in an object. */
  keyFrom: number;
  keyTo: number;
  /** True when the next string of an object is a key. */
  awaitsKey: boolean;
  readonly isList: boolean;
}

/** Walks through the numbers of a JSON text. The text has been parsed before, so it is valid. */
class NumberScan {
  readonly #text: string;
  #at = 0;
  readonly #levels: Level[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  /** Path of the number that `next` returned last. */
  get path(): string {
    let path = "";
    for (const { isList, index, keyFrom, keyTo } of this.#levels) {
      if (isList) path += `[${index}]`;
      else path += `${path === "" ? "" : "."}${JSON.parse(this.#text.slice(keyFrom, keyTo))}`;
    }
    return path;
  }

  next(): string | undefined {
    const text = this.#text;
    const levels = this.#levels;
    while (this.#at < text.length) {
      const from = this.#at++;
      const level = levels[levels.length - 1];
      switch (text[from]) {
        case "[":
        case "{":
          levels.push({ index: 0, keyFrom: 0, keyTo: 0, awaitsKey: text[from] === "{", isList: text[from] === "[" });
          break;
        case "]":
        case "}":
          levels.pop();
          break;
        case ",":
          if (level !== undefined) {
            level.index++;
            level.awaitsKey = !level.isList;
          }
          break;
        case '"':
          this.#skipString(from, level);
          break;
        case " ":
        case "\n":
        case "\r":
        case "\t":
        case ":":
          break;
        default:
          return this.#takeWord(from);
      }
    }
    return undefined;
  }

  #skipString(from: number, level: Level | undefined): void {
    this.#at = endOfString(this.#text, from + 1) + 1;
    if (level === undefined || !level.awaitsKey) return;
    level.keyFrom = from;
    level.keyTo = this.#at;
    level.awaitsKey = false;
  }

  /** Takes a number. `true`, `false` and `null` count as 0, which is never a large number. */
  #takeWord(from: number): string {
    const end = /[\s,\]}]/g;
    end.lastIndex = from;
    this.#at = end.exec(this.#text)?.index ?? this.#text.length;
    const word = this.#text.slice(from, this.#at);
    return word === "true" || word === "false" || word === "null" ? "0" : word;
  }
}

/** Bounds of a JSON text. */
export interface JsonLimits {
  /** Levels of lists and objects. */
  readonly maxBodyDepth: number;
  /** Numbers, texts, lists, objects and other values. */
  readonly maxBodyValues: number;
  /** Values read so far, when a body has several texts (a form). They count towards the bound of the next text. */
  readonly read?: { values: number };
}

/**
 * Refuses a parsed JSON value with a key that could reach a prototype.
 *
 * Recursive: the depth has been checked before.
 *
 * @throws {ServingError} `forbidden_key`.
 */
export function refuseForbiddenKeys(text: string, value: unknown): void {
  if (mayHoldForbiddenKey(text)) refuseIn(value);
}

/** A text with `\\u` may spell any of these keys in another way. */
const mayHoldForbiddenKey = (text: string): boolean =>
  text.includes("__proto__") || text.includes("constructor") || text.includes("\\u");

function refuseIn(value: unknown): void {
  if (typeof value !== "object" || value === null) return;
  if (Array.isArray(value)) {
    for (const item of value) refuseIn(item);
    return;
  }
  for (const key of Object.keys(value)) {
    const item = (value as Record<string, unknown>)[key];
    if (key === "__proto__") throw fail("forbidden_key", { key });
    if (key === "constructor" && typeof item === "object" && item !== null && Object.hasOwn(item, "prototype")) {
      throw fail("forbidden_key", { key: "constructor.prototype" });
    }
    refuseIn(item);
  }
}
