/** Most characters of a sample, and of a pattern that is read. */
const maxLength = 200;

/**
 * Makes a short text that a pattern probably matches, by reading the pattern and without running it; `undefined` for
 * one that looks around, refers back, or names classes of Unicode.
 */
export function samplePattern(pattern: string): string | undefined {
  if (pattern.length > maxLength) return undefined;
  const reader = new PatternReader(pattern);
  const text = reader.readChoice();
  return reader.isAtEnd && !reader.isLost && text !== undefined && text.length <= maxLength ? text : undefined;
}

/** Characters that stand for a class. */
const classes: Readonly<Record<string, string>> = {
  d: "0",
  w: "a",
  s: " ",
  D: "a",
  W: "-",
  S: "a",
  n: "\n",
  t: "\t",
  r: "\r",
};

/** Characters that are tried for a class that excludes some. */
const plain = "a0A -_!~";

class PatternReader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  get isAtEnd(): boolean {
    return this.#at >= this.#text.length;
  }

  /** True when the reader gave up. */
  get isLost(): boolean {
    return this.#at > this.#text.length;
  }

  /** Reads alternatives and takes the first that is understood. */
  readChoice(): string | undefined {
    let first = this.#readSequence();
    while (this.#take("|")) {
      const other = this.#readSequence();
      first ??= other;
    }
    return first;
  }

  #readSequence(): string | undefined {
    let text: string | undefined = "";
    while (!this.isAtEnd && !"|)".includes(this.#peek())) {
      const part = this.#readPart();
      const least = this.#readCount();
      const isShort: boolean = part !== undefined && (text?.length ?? 0) + part.length * least <= maxLength;
      text = text === undefined || part === undefined || !isShort ? undefined : text + part.repeat(least);
    }
    return text;
  }

  #readPart(): string | undefined {
    const sign = this.#next();
    if (sign === "^" || sign === "$") return "";
    if (sign === ".") return "a";
    if (sign === "\\") return this.#readEscape();
    if (sign === "[") return this.#readClass();
    return sign === "(" ? this.#readGroup() : sign;
  }

  #readEscape(): string | undefined {
    const sign = this.#next();
    if (sign === "b" || sign === "B") return "";
    if (/[1-9kpPuxc]/.test(sign)) return undefined;
    return Object.hasOwn(classes, sign) ? classes[sign] : sign;
  }

  /** Reads a class of characters and takes one of it. */
  #readClass(): string | undefined {
    const isNegative = this.#take("^");
    const members: string[] = [];
    while (!this.isAtEnd && this.#peek() !== "]") {
      const sign = this.#next();
      members.push(sign === "\\" ? `\\${this.#next()}` : sign);
    }
    if (!this.#take("]")) return undefined;
    if (members.some((member) => /^\\[kpPuxc]/.test(member))) return undefined;
    const [first] = members;
    if (!isNegative) return first === undefined ? undefined : readMember(first);
    const isIn = new RegExp(`[${members.join("")}]`);
    return [...plain].find((sign) => !isIn.test(sign));
  }

  #readGroup(): string | undefined {
    if (this.#take("?") && !this.#take(":")) {
      // A name is passed over. Looking around is not understood, and nothing after it is read.
      const isNamed = this.#take("<") && !"=!".includes(this.#peek());
      const end = this.#text.indexOf(">", this.#at);
      this.#at = isNamed && end >= 0 ? end + 1 : this.#text.length + 1;
    }
    const text = this.readChoice();
    return this.#take(")") ? text : undefined;
  }

  /** Reads how often the part before may stand. */
  #readCount(): number {
    const sign = this.#peek();
    if (sign === "*" || sign === "?" || sign === "+") {
      this.#at++;
      this.#take("?");
      return sign === "+" ? 1 : 0;
    }
    const counted = /^\{(\d{1,4})(?:,\d*)?\}\??/.exec(this.#text.slice(this.#at));
    if (counted === null) return 1;
    this.#at += counted[0].length;
    return Number(counted[1]);
  }

  #peek(): string {
    return this.#text[this.#at] ?? "";
  }

  #next(): string {
    return this.#text[this.#at++] ?? "";
  }

  #take(sign: string): boolean {
    if (this.#peek() !== sign) return false;
    this.#at++;
    return true;
  }
}

const readMember = (member: string): string | undefined =>
  member.startsWith("\\") ? (classes[member.slice(1)] ?? member.slice(1)) : member;
