import { endOfString } from "../base/is-deeper.js";
import { fail } from "../failure/failures.js";

/** From here on not every integer is a number that a program can hold. */
const firstInexact = 2 ** 53;

/**
 * Refuses a JSON text that holds a number no program would get as it was sent: one that becomes infinite, or an integer
 * that becomes another one.
 *
 * Fractions are rounded to the nearest double, as everywhere; an integer is taken where it is exact, or where it is just what
 * JavaScript writes for the double it becomes.
 *
 * @param value What `JSON.parse` made of the text: most bodies hold no such number, and the text is not looked at then.
 * @param at    The path of the value in its body, in words.
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

/** No number that anybody means is longer; JSON.parse takes its time for one of a million digits, and can't be interrupted. */
const mostNumberChars = 65_536;

/**
 * Refuses a JSON text with a number of so many characters that to read it would hold up everybody.
 *
 * @throws {ServingError} `invalid_json`.
 */
export function refuseLongNumbers(text: string): void {
  // One so long has a character at one of these places; most texts have none there, and are read no further.
  for (let at = mostNumberChars; at < text.length; at += mostNumberChars) {
    if (isOfNumber(text.charCodeAt(at))) {
      refuseLongRun(text);
      return;
    }
  }
}

/** Strings may have as many digits as they like. */
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
/** An integer of so many digits is less than 2^53, and one of no more than these is put together of two halves. */
const [safeDigits, mostDigits, halfDigits] = [15, 20, 10] as const;
/** A number with so many digits before its point, and so large an exponent, is finite. */
const [finiteDigits, finiteExponent] = [200, 99] as const;

/**
 * Whether each number of a JSON text is certain to arrive as it is: a list of a million large ones is read once, and nothing
 * is made of it. Where it says no, a number may be exact all the same.
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

/** Whether a double holds an integer exactly: from 2^53 on it holds the even ones, from 2^54 on each fourth, and so on. */
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
    // Long lists are lists of numbers: a millisecond for half a million of them.
    for (const item of value) {
      if (typeof item === "number" ? !(item > -firstInexact && item < firstInexact) : holdsLarge(item)) return true;
    }
    return false;
  }
  for (const key in value) if (holdsLarge((value as Record<string, unknown>)[key])) return true;
  return false;
}

/** A list or an object that a scan is in. */
interface Level {
  /** Of a list: the index of the item it is at. */
  index: number;
  /** Of an object: where the key it is at begins and ends, with its quotes. */
  keyFrom: number;
  keyTo: number;
  /** Of an object: whether the next string is a key. */
  awaitsKey: boolean;
  readonly isList: boolean;
}

/** Goes through the numbers of a JSON text that was parsed before, so that it is known to be one. */
class NumberScan {
  readonly #text: string;
  #at = 0;
  readonly #levels: Level[] = [];

  constructor(text: string) {
    this.#text = text;
  }

  /** Where the number that `next` gave last stands. */
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

  /** A number, or one of the words, none of which is a large number. */
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
  /** Numbers, texts, lists, objects and so on. */
  readonly maxBodyValues: number;
  /** Of a body of several texts, a form: the values of those that were read, which count for the next one too. */
  readonly read?: { values: number };
}

/**
 * Refuses what was parsed of a JSON text when it has a key that could reach a prototype.
 *
 * Recursive: the depth was checked before.
 *
 * @throws {ServingError} `forbidden_key`.
 */
export function refuseForbiddenKeys(text: string, value: unknown): void {
  if (mayHoldForbiddenKey(text)) refuseIn(value);
}

/** `\\u` may spell any of the keys in another way. */
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
