// Reads the files of a tar archive, one after the other. Strict: archives of npm packages hold files and folders.

/** Bounds of one archive. */
const mostEntries = 200_000;
const mostBytes = 256 * 1024 ** 3;
/** Longest name that an extension header may give. */
const mostNameBytes = 64 * 1024;
const blockBytes = 512;

/** A file in an archive. */
export interface TarFile {
  /** Path without the first folder, which npm names `package`. */
  readonly path: string;
  readonly bytes: number;
  /** Parts of the file, in order. Parts that are not read are skipped. */
  readonly content: AsyncIterable<Buffer>;
}

/** The archive breaks a rule. */
export class TarError extends Error {}

/**
 * Calls `onFile` for each file of an archive, in order.
 *
 * @throws {TarError} for an archive that is cut off, has a wrong checksum, or has a path that leads outside.
 */
export async function readTar(bytes: AsyncIterable<Buffer>, onFile: (file: TarFile) => Promise<void>): Promise<void> {
  const source = new ByteSource(bytes);
  let names: Partial<Record<"path" | "size", string>> = {};
  let [entries, total] = [0, 0];
  for (;;) {
    const header = await source.read(blockBytes);
    if (header.every((byte) => byte === 0)) return;
    checkSum(header);
    const type = String.fromCharCode(header[156] as number);
    const size = names.size === undefined ? readSize(header) : Number(names.size);
    if (!Number.isSafeInteger(size) || size < 0) throw new TarError("an entry has no size");
    if (++entries > mostEntries || (total += size) > mostBytes)
      throw new TarError("it is larger than any package may be");
    const content = new TarContent(source, size);
    if (type === "x" || type === "L") names = { ...names, ...(await readNames(type, content)) };
    else {
      const path = checkPath(names.path ?? readPath(header));
      names = {};
      // Everything else is a folder, a link or a device, and no file of a package.
      if (type === "0" || type === "\0" || type === "7") await onFile({ path, bytes: size, content: content.parts() });
    }
    await content.skip();
    await source.read((blockBytes - (size % blockBytes)) % blockBytes);
  }
}

/** Content of one entry. */
class TarContent {
  readonly #source: ByteSource;
  #left: number;

  constructor(source: ByteSource, size: number) {
    this.#source = source;
    this.#left = size;
  }

  async *parts(): AsyncGenerator<Buffer, void, undefined> {
    while (this.#left > 0) {
      const part = await this.#source.readSome(this.#left);
      this.#left -= part.length;
      yield part;
    }
  }

  async skip(): Promise<void> {
    for await (const _ of this.parts());
  }
}

async function readNames(type: "x" | "L", content: TarContent): Promise<Partial<Record<"path" | "size", string>>> {
  const parts: Buffer[] = [];
  let length = 0;
  for await (const part of content.parts()) {
    length += part.length;
    if (length > mostNameBytes) throw new TarError("an entry has a name that is too long");
    parts.push(part);
  }
  const text = Buffer.concat(parts);
  return type === "L" ? { path: text.toString("utf8").replace(/\0.*$/s, "") } : readRecords(text);
}

/** Reads the records of an extension header: `"28 path=package/a.onnx\n"`, the length first. */
function readRecords(text: Buffer): Partial<Record<"path" | "size", string>> {
  const names: Partial<Record<"path" | "size", string>> = {};
  for (let at = 0; at < text.length; ) {
    const [, digits = ""] = /^(\d{1,6}) /.exec(text.subarray(at, at + 8).toString("latin1")) ?? [];
    const end = at + Number(digits);
    if (digits === "" || end > text.length) throw new TarError("an extension header is damaged");
    const record = text.subarray(at + digits.length + 1, end - 1).toString("utf8");
    const [key = ""] = record.split("=", 1);
    if (key === "path" || key === "size") names[key] = record.slice(key.length + 1);
    at = end;
  }
  return names;
}

function readPath(header: Buffer): string {
  const isUstar = header.toString("latin1", 257, 262) === "ustar";
  const prefix = isUstar ? readText(header, 345, 155) : "";
  const name = readText(header, 0, 100);
  return prefix === "" ? name : `${prefix}/${name}`;
}

/** @returns The path below the first folder. @throws {TarError} for one that leads outside. */
function checkPath(path: string): string {
  const segments = path.split("/");
  if (path.startsWith("/") || segments.includes("..") || path.includes("\0") || path.includes("\\")) {
    throw new TarError(`it has the path ${JSON.stringify(path.slice(0, 100))}, which leads outside`);
  }
  return segments.slice(1).join("/");
}

function readText(header: Buffer, at: number, length: number): string {
  return header
    .subarray(at, at + length)
    .toString("utf8")
    .replace(/\0.*$/s, "");
}

/** Reads a size: octal digits, or a big-endian number if the first bit is set. */
function readSize(header: Buffer): number {
  if (((header[124] as number) & 0x80) !== 0) return Number(header.readBigUInt64BE(128));
  const text = readText(header, 124, 12).trim();
  return /^[0-7]*$/.test(text) ? Number.parseInt(text || "0", 8) : Number.NaN;
}

function checkSum(header: Buffer): void {
  const expected = Number.parseInt(readText(header, 148, 8).trim(), 8);
  const actual = header.reduce((sum, byte, at) => sum + (at >= 148 && at < 156 ? 0x20 : byte), 0);
  if (actual !== expected) throw new TarError("a header has a wrong checksum");
}

/** Reads exact numbers of bytes from parts of any length. */
class ByteSource {
  readonly #parts: AsyncIterator<Buffer>;
  #rest: Buffer = Buffer.alloc(0);

  constructor(bytes: AsyncIterable<Buffer>) {
    this.#parts = bytes[Symbol.asyncIterator]();
  }

  /** Reads 1 to `most` bytes. */
  async readSome(most: number): Promise<Buffer> {
    while (this.#rest.length === 0) {
      const step = await this.#parts.next();
      if (step.done === true) throw new TarError("it is cut off");
      this.#rest = step.value;
    }
    const part = this.#rest.subarray(0, most);
    this.#rest = this.#rest.subarray(part.length);
    return part;
  }

  /** Reads `count` bytes, at most one block. */
  async read(count: number): Promise<Buffer> {
    const parts: Buffer[] = [];
    for (let left = count; left > 0; ) {
      const part = await this.readSome(left);
      parts.push(part);
      left -= part.length;
    }
    return parts.length === 1 ? (parts[0] as Buffer) : Buffer.concat(parts);
  }
}
