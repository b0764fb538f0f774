import { encodeNpy } from "../../src/http/npy.js";
import { Tensor } from "../../src/index.js";
import type { Random } from "./random.js";

/** A request whose body costs its sender little and, where its input has no bound, a server much. */
export interface HostileBody {
  /** Description of the attack. */
  readonly name: string;
  /** Path of an api of `HostileService`. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Body; the chunks of a list are sent one by one. */
  readonly body: Buffer | readonly Buffer[];
}

/** Makes a body of about this many bytes. A body that says little in few bytes may be shorter. */
export type CreateBody = (random: Random, bytes: number) => HostileBody;

const json = "application/json";
const lines = "application/x-ndjson";

const named = (name: string, path: string, type: string, body: string | Buffer | readonly Buffer[]): HostileBody => ({
  name,
  path,
  headers: { "content-type": type },
  body: typeof body === "string" ? Buffer.from(body) : body,
});

const list = (item: string, bytes: number): string =>
  `[${`${item},`.repeat(Math.floor(bytes / (item.length + 1)))}${item}]`;

const listPaths = [
  ...["/numbers", "/shapes", "/any", "/valibot", "/arktype", "/texts", "/items", "/matrix"],
  ...["/dates", "/bigints", "/sets", "/maps", "/moments"],
];
const wrongItems = [
  '"2026-01-31T00:00:00Z"',
  '"2026-01-31"',
  `"${"9".repeat(999)}"`,
  '{"at":"x"}',
  '["k",{}]',
  "{}",
  "[]",
  "null",
  '""',
  "0",
  "-1",
  "[[]]",
  '{"a":"x","b":1}',
  '{"a":1}',
  "1e9",
  '"abcdefghij"',
];

const inLists: CreateBody = (random, bytes) => {
  const path = random.pick(listPaths);
  const item = random.pick(wrongItems);
  return named(`a list of ${item} for ${path}`, path, json, list(item, bytes));
};

const inLines: CreateBody = (random, bytes) => {
  const item = random.pick(wrongItems);
  return named(`a field with a list of ${item}`, "/lines", json, `{"lines":${list(item, bytes)}}`);
};

/** Has errors at a few places, so that a look at the first items finds nothing. */
const sparsely: CreateBody = (random, bytes) => {
  const share = random.pick([0.001, 0.05, 0.5]);
  const count = Math.floor(bytes / 16);
  const items = Array.from({ length: count }, () => (random.chance(share) ? "{}" : '{"a":1,"b":"x"}'));
  return named(`${share} of the items wrong`, "/lines", json, `{"lines":[${items.join(",")}]}`);
};

const keys: CreateBody = (random, bytes) => {
  const isNumeric = random.chance(0.5);
  const fields = Array.from({ length: Math.floor(bytes / 12) }, (_, i) => `"${isNumeric ? "" : "k"}${i * 7}":""`);
  const path = random.pick(["/record", "/any", "/lines", "/maps"]);
  return named(`an object of ${fields.length} keys for ${path}`, path, json, `{${fields.join(",")}}`);
};

const deep: CreateBody = (random, bytes) => {
  const [open, close] = random.pick([
    ["[", "]"],
    ['{"a":', "}"],
    ['{"name":"x","children":[', "]}"],
    ["[[],", "]"],
    ['{"at":"2026-01-31","a":', "}"],
    ['[{"id":1,"a":', "}]"],
  ] as const);
  const levels = random.pick([60, 64, 1000, Math.floor(bytes / (open.length + close.length))]);
  const text = `${open.repeat(levels)}1${close.repeat(levels)}`;
  return named(`${levels} levels of ${open}`, random.pick(["/tree", "/any", "/matrix", "/moments"]), json, text);
};

const longWords: CreateBody = (random, bytes) => {
  const word = random.pick([
    `"${'\\"'.repeat(bytes / 2)}"`,
    `"${"\\u0041".repeat(bytes / 6)}"`,
    `"${"[{,".repeat(bytes / 3)}"`,
    `"${"a".repeat(bytes)}"`,
    `${"9".repeat(bytes)}`,
    `0.${"1".repeat(bytes)}`,
    `${" ".repeat(bytes)}1`,
    `"${"\\".repeat(bytes)}`,
    `{"${"k".repeat(bytes)}":1}`,
  ]);
  return named(`one long word ${word.slice(0, 8)}`, random.pick(["/any", "/text", "/numbers", "/record"]), json, word);
};

const largeNumbers: CreateBody = (random, bytes) => {
  const item = random.pick(["9007199254740992", "9007199254740993", "1e999", "1".repeat(300), "-0", "1e-400"]);
  return named(`a list of ${item.slice(0, 20)}`, random.pick(["/numbers", "/any", "/matrix"]), json, list(item, bytes));
};

const lyingTensors: CreateBody = (random, bytes) => {
  const path = random.pick(["/matrix", "/rows"]);
  const shape = random.pick([
    [1e8, 0],
    [1e15, 0],
    [10_000, 0],
    [0, 1e15],
    [1e8, 1e8],
    [1, 1],
    new Array(Math.floor(bytes / 2)).fill(1),
    [-1, 0],
    [0.5, 2],
  ]);
  const data = random.chance(0.2) ? "A".repeat(bytes) : "";
  return named(
    `a tensor of shape ${String(shape).slice(0, 30)}`,
    path,
    json,
    JSON.stringify({ dtype: "float32", shape, data }),
  );
};

/** Has a first list that the others do not match. */
const raggedTensors: CreateBody = (random, bytes) => {
  const long = Math.floor(bytes / 8);
  const others = Math.floor(bytes / 4);
  const first = `[${"0,".repeat(long)}0]`;
  return named("ragged lists", random.pick(["/matrix", "/rows"]), json, `[${first}${",[]".repeat(others)}]`);
};

const npyFiles: CreateBody = (random, bytes) => {
  const file = encodeNpy(new Tensor("float32", [2, 2], new Float32Array(4)));
  const header = random.pick(["(100000000, 0)", `(${"1,".repeat(1500)})`, "(1e9,)", "(2, 99999999999)", "(2, 2)"]);
  const dtype = random.pick(["<f4", "<f2", "|b1", "|i1", "<u4", "|O", "<f8", "<c16"]);
  const text = `{'descr': '${dtype}', 'fortran_order': False, 'shape': ${header}, }\n`;
  const head = Buffer.concat([
    file.subarray(0, 8),
    Buffer.from([text.length & 255, text.length >> 8]),
    Buffer.from(text),
  ]);
  const data = Buffer.alloc(random.pick([0, 16, bytes]));
  return named(`.npy of ${dtype} ${header.slice(0, 20)}`, "/matrix", "application/x-npy", Buffer.concat([head, data]));
};

const lineBodies: CreateBody = (random, bytes) => {
  const line = random.pick(["0", "", " ", "x", "{}", "[".repeat(1000), "1e999", "\r"]);
  return named(
    `lines of ${line.slice(0, 8)}`,
    "/items",
    lines,
    `${line}\n`.repeat(Math.floor(bytes / (line.length + 1))),
  );
};

const forms: CreateBody = (random, bytes) => {
  const part = random.pick([
    "--B\r\n\r\n\r\n",
    '--B\r\ncontent-disposition: form-data; name="note"\r\n\r\nx\r\n',
    '--B\r\ncontent-disposition: form-data; name="lines"\r\n\r\n[{}]\r\n',
    '--B\r\ncontent-disposition: form-data; name="scan"; filename="a"\r\n\r\n\r\n',
    `--B\r\n${"x-h: y\r\n".repeat(50)}\r\n\r\n`,
    "--B\r\n",
  ]);
  const body = part.repeat(Math.floor(bytes / part.length)) + (random.chance(0.5) ? "--B--\r\n" : "");
  return named(`a form of ${JSON.stringify(part.slice(0, 30))}`, "/form", "multipart/form-data; boundary=B", body);
};

/** Has parts that may be text or JSON, and no schema that decides. */
const unknownFields: CreateBody = (random, bytes) => {
  const count = Math.min(random.pick([10, 900]), Math.floor(bytes / 80));
  const value = random.pick(["5", "null", '{"a":[1]}', list("{}", Math.floor(bytes / count / 2))]);
  const parts = Array.from({ length: count }, (_, i) => {
    return `--B\r\ncontent-disposition: form-data; name="u${i}"\r\n\r\n${value}\r\n`;
  });
  const body = `${parts.join("")}--B--\r\n`;
  const path = random.pick(["/strict", "/form", "/any"]);
  return named(`a form of ${count} unknown fields for ${path}`, path, "multipart/form-data; boundary=B", body);
};

/** Has parts whose names are paths into a field. */
const pathParts: CreateBody = (random, bytes) => {
  const nameOf = random.pick<(i: number) => string>([
    (i) => `pages[${i}].scan`,
    (i) => `pages[${999 - i}].scan`,
    () => `more${".inner[0]".repeat(100)}.scan`,
    (i) => `more${".inner[0]".repeat(30)}.inner[${i}].scan`,
    (i) => `pages[${i % 2}].inner[${i >> 1}].scan`,
    () => `pages${"[0]".repeat(300)}`,
    (i) => `pages[0].${"x".repeat(i)}`,
  ]);
  const count = Math.min(random.pick([10, 900]), Math.floor(bytes / 400));
  const parts = Array.from({ length: count }, (_, i) => {
    return `--B\r\ncontent-disposition: form-data; name="${nameOf(i)}"; filename="a"\r\n\r\nx\r\n`;
  });
  const begun = random.chance(0.3) ? '--B\r\ncontent-disposition: form-data; name="pages"\r\n\r\n[{},[]]\r\n' : "";
  const body = `${begun}${parts.join("")}--B--\r\n`;
  return named(`a form of ${count} paths ${nameOf(1).slice(0, 20)}`, "/album", "multipart/form-data; boundary=B", body);
};

/** Has one part as long as the whole body. */
const longParts: CreateBody = (random, bytes) => {
  const field = random.pick(["lines", "vector", "note"]);
  const text = random.pick([
    list("{}", bytes),
    list("0", bytes),
    list("[]", bytes),
    "x".repeat(bytes),
    "[".repeat(bytes),
  ]);
  const body = `--B\r\ncontent-disposition: form-data; name="${field}"\r\n\r\n${text}\r\n--B--\r\n`;
  return named(`a part ${field} of ${text.slice(0, 8)}`, "/form", "multipart/form-data; boundary=B", body);
};

const smallChunks: CreateBody = (random, bytes) => {
  const [path, type, text] = random.pick([
    ["/any", json, `"${"a".repeat(20_000)}"`],
    ["/items", lines, "0".repeat(20_000)],
    ["/items", lines, "0\n".repeat(10_000)],
    ["/chunks", "application/octet-stream", "a".repeat(20_000)],
    ["/text", "text/plain", "é".repeat(10_000)],
    ["/form", "multipart/form-data; boundary=B", "--B\r\n\r\n\r\n".repeat(2_000)],
  ] as const);
  const whole = Buffer.from(text).subarray(0, bytes);
  const size = random.pick([1, 2, 7]);
  const chunks = Array.from({ length: Math.ceil(whole.length / size) }, (_, i) =>
    whole.subarray(i * size, (i + 1) * size),
  );
  return named(`chunks of ${size} bytes for ${path}`, path, type, chunks);
};

const otherBodies: CreateBody = (random, bytes) => {
  const [path, type] = random.pick([
    ["/text", "text/plain"],
    ["/text", "text/plain; charset=utf-16le"],
    ["/scan", "image/png"],
    ["/any", "application/octet-stream"],
    ["/text", "text/event-stream"],
    ["/any", "text/event-stream"],
  ] as const);
  const body = random.pick([Buffer.alloc(bytes), Buffer.alloc(bytes, "\ufffd"), Buffer.alloc(bytes, 0xff)]);
  return named(`${type} for ${path}`, path, type, body);
};

const events: CreateBody = (random, bytes) => {
  const event = random.pick(["data: \n\n", "data\n", ":\n", "id: 1\n\n", "\n"]);
  return named(
    `events ${JSON.stringify(event)}`,
    random.pick(["/any", "/items"]),
    "text/event-stream",
    event.repeat(bytes / event.length),
  );
};

/** All kinds of hostile bodies. */
export const hostileBodies: readonly CreateBody[] = [
  ...[inLists, inLines, sparsely, keys, deep, longWords, largeNumbers, lyingTensors, raggedTensors, npyFiles],
  ...[lineBodies, forms, unknownFields, pathParts, longParts, smallChunks, otherBodies, events],
];

/** Makes a body that submits a task. */
export const createTaskBody: CreateBody = (random, bytes) => {
  const item = random.pick(wrongItems);
  return named(`a task for a list of ${item}`, "/index/submit", json, list(item, bytes));
};

/** Formats a request with this body, on its own connection. */
export function formatHostile({ path, headers, body }: HostileBody): Buffer {
  const given = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  const head = `POST ${path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n${given.join("")}`;
  if (Buffer.isBuffer(body)) return Buffer.concat([Buffer.from(`${head}content-length: ${body.length}\r\n\r\n`), body]);
  const chunks = body.flatMap((chunk) => [Buffer.from(`${chunk.length.toString(16)}\r\n`), chunk, Buffer.from("\r\n")]);
  return Buffer.concat([Buffer.from(`${head}transfer-encoding: chunked\r\n\r\n`), ...chunks, Buffer.from("0\r\n\r\n")]);
}
