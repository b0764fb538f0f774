import { createHello } from "../../src/transport/channel.js";
import { encodeValue } from "../../src/transport/encode-value.js";
import {
  type Frame,
  frameFlags,
  frameKinds,
  maxFrameBytes,
  noTails,
  prefixBytes,
  wireVersion,
} from "../../src/transport/frame.js";
import type { Random } from "../http/random.js";
import { createAnything } from "../http/random-value.js";
import { createBytes, createPrefix, createText, encodeFrame } from "./random-frame.js";

/** Bytes that one side of a link may send, right or wrong. */
export interface RandomSession {
  /** Name of the mutation; `"valid"` for none. */
  readonly what: string;
  readonly bytes: Buffer;
}

const replica = "Wire#0";
const frameOf = (kind: number, id: number, head: string, more: Partial<Frame> = {}): Frame => {
  return { kind, flags: 0, id, head, tails: noTails, ...more };
};

/** Makes frames of a caller to a `WireService`. Calls come in order and end in any way; numbers are used once. */
export function createCallerSession(random: Random): RandomSession {
  const frames = [createHello(replica)];
  for (let id = 1, count = random.between(0, 12); id <= count; id++) {
    if (random.chance(0.2)) frames.push(...createFedCall(random, id));
    else frames.push(createCall(random, id));
    if (random.chance(0.3)) frames.push(createCancel(random, random.between(1, id)));
    // No stream of a session has read so little that one item is too many.
    if (random.chance(0.2)) frames.push(frameOf(frameKinds.credit, id + 1000, String(random.between(1, 32))));
  }
  return mutate(random, frames);
}

/** Calls of a link by number: first those that wait for an answer, then those for items, then those that send items. */
export interface OpenCalls {
  readonly unary: number;
  readonly streams: number;
  readonly fed: number;
}

/** Makes frames of a replica to a link on which such calls are open. */
export function createReplicaSession(random: Random, { unary, streams, fed }: OpenCalls): RandomSession {
  const frames = [createHello(replica)];
  const begun = new Set<number>();
  for (let i = random.between(0, 20); i > 0; i--) {
    // Answers that come late or twice are dropped, so these are all valid.
    const id = random.between(1, unary + streams + fed + 2);
    const isStream = id > unary && id <= unary + streams;
    const isFed = id > unary + streams && id <= unary + streams + fed;
    if (isFed && random.chance(0.7)) {
      if (!begun.has(id)) frames.push(frameOf(frameKinds.credit, id, "0"));
      else if (random.chance(0.3)) frames.push(createCancel(random, id));
      begun.add(id);
      continue;
    }
    const kind = random.pick(
      isStream ? (["item", "item", "end", "failure"] as const) : (["reply", "failure"] as const),
    );
    if (random.chance(0.1)) frames.push(frameOf(frameKinds.response, id, createResponse(random)));
    frames.push(createAnswer(random, kind, id));
    if (random.chance(0.05)) frames.push(frameOf(frameKinds.drain, 0, ""));
  }
  return mutate(random, frames);
}

/** Makes a call whose input is a stream that its api reads at once, and the items, as far as its window allows. */
function createFedCall(random: Random, id: number): Frame[] {
  const head = `sum\n${createDeadline(random)}\nCaller\nask\n${createContext(random)}\n`;
  const frames = [frameOf(frameKinds.call, id, head, { flags: frameFlags.fed })];
  for (let i = random.between(0, 30); i > 0; i--) {
    frames.push(frameOf(frameKinds.item, id, random.chance(0.95) ? String(random.between(0, 9)) : '"no number"'));
  }
  if (random.chance(0.6)) frames.push(createAnswer(random, random.pick(["end", "end", "failure"] as const), id));
  return frames;
}

const createDeadline = (random: Random): string =>
  random.pick(["Infinity", "Infinity", "1000500", "999000.25", "1e15"]);

function createContext(random: Random): string {
  const good = JSON.stringify([
    createText(random, 5),
    { "x-a": "b" },
    `00-${"a".repeat(32)}-${"b".repeat(16)}-01`,
    null,
  ]);
  // A call is answered whatever its context is.
  return random.chance(0.9) ? good : random.pick(["", "{", "[]", '["id",{"a":1},"x",null]', good.slice(0, -1)]);
}

function createCall(random: Random, id: number): Frame {
  const input = createInput(random);
  const isStream = ["count", "breakAfter", "pause", "badItem"].includes(input.api) !== random.chance(0.03);
  const value = encodeValue(input.value, "input");
  if (value instanceof Promise) throw new TypeError("files are read later");
  const flags = (isStream ? frameFlags.stream : 0) | (value.isMarked ? frameFlags.marked : 0);
  const head = `${input.api}\n${createDeadline(random)}\nCaller\nask\n${createContext(random)}\n${value.text}`;
  return frameOf(frameKinds.call, id, head, { flags, tails: value.tails });
}

function createInput(random: Random): { readonly api: string; readonly value: unknown } {
  const key = `k${random.between(0, 3)}`;
  return random.pick([
    { api: "echo", value: createValue(random) },
    { api: random.pick(["refuse", "crash", "lost", "nowhere", "badItem", "about"]), value: null },
    { api: random.pick(["hold", "stubborn", "narrow", "pause"]), value: random.chance(0.9) ? key : 7 },
    { api: "count", value: { items: random.between(0, 100), bytes: random.pick([0, 10, 100_000]) } },
    { api: "breakAfter", value: random.between(0, 50) },
  ]);
}

const createValue = (random: Random): unknown =>
  random.pick([
    () => createAnything(random),
    // Twenty of them are less than a window.
    () => createBytes(random, random.pick([0, 100, 5000, 50_000])),
    () => ({ when: new Date(0), big: 2n ** 70n, bytes: createBytes(random, 8), odd: [Number.NaN, undefined, -0] }),
    () => new Map<unknown, unknown>([[createText(random, 3), new Set([1, createBytes(random, 16)])]]),
  ])();

const createCancel = (random: Random, id: number): Frame =>
  frameOf(
    frameKinds.cancel,
    id,
    JSON.stringify({ code: "cancelled", id: "cancelled", message: createText(random, 8) }),
  );

function createAnswer(random: Random, kind: "reply" | "failure" | "item" | "end", id: number): Frame {
  if (kind === "end") return frameOf(frameKinds.end, id, "");
  if (kind === "failure") {
    const head = JSON.stringify({
      code: "aborted",
      id: "broke_off",
      message: createText(random, 8),
      details: { a: 1 },
    });
    return frameOf(frameKinds.failure, id, head);
  }
  const value = encodeValue(createValue(random), "output");
  if (value instanceof Promise) throw new TypeError("files are read later");
  const { text, tails, isMarked } = value;
  return frameOf(frameKinds[kind], id, text, { tails, flags: isMarked ? frameFlags.marked : 0 });
}

/** Makes the response of an HTTP request. */
const createResponse = (random: Random): string =>
  JSON.stringify([random.pick([null, 200, 404]), [["x-a", createBytes(random, 4).join("")]]]);

type Mutation = (random: Random, frames: Frame[]) => Buffer;

const join = (frames: readonly Frame[]): Buffer => Buffer.concat(frames.map(encodeFrame));

/** Chooses a position among frames after the hello; the end when there are none. */
const place = (random: Random, frames: readonly Frame[]): number =>
  random.between(Math.min(1, frames.length), frames.length);

const mutations: Readonly<Record<string, Mutation>> = {
  valid: (_, frames) => join(frames),
  "random bytes": (random) => Buffer.from(createBytes(random, random.between(1, 300))),
  "random bytes after the hello": (random, frames) =>
    Buffer.concat([encodeFrame(frames[0] as Frame), createBytes(random, random.between(1, 300))]),
  "changed bytes": (random, frames) => {
    const bytes = join(frames);
    for (let n = random.between(1, 8); n > 0; n--) bytes[random.between(0, bytes.length - 1)] = random.between(0, 255);
    return bytes;
  },
  "a changed prefix": (random, frames) => {
    const parts = frames.map(encodeFrame);
    const bytes = random.pick(parts);
    bytes[random.between(0, Math.min(bytes.length, prefixBytes + 16) - 1)] = random.pick([0, 1, 7, 0x80, 0xff]);
    return Buffer.concat(parts);
  },
  "bytes left out": (random, frames) => {
    const bytes = join(frames);
    const at = random.between(0, bytes.length - 1);
    return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + random.between(1, 40))]);
  },
  "bytes put in": (random, frames) => {
    const bytes = join(frames);
    const at = random.between(0, bytes.length);
    return Buffer.concat([bytes.subarray(0, at), createBytes(random, random.between(1, 40)), bytes.subarray(at)]);
  },
  "cut short": (random, frames) => {
    const bytes = join(frames);
    return bytes.subarray(0, random.between(0, bytes.length - 1));
  },
  "a frame twice": (random, frames) => {
    frames.splice(place(random, frames), 0, random.pick(frames));
    return join(frames);
  },
  "frames out of order": (random, frames) => {
    frames.splice(place(random, frames), 0, ...frames.splice(random.between(0, frames.length - 1), 1));
    return join(frames);
  },
  "no hello": (_, frames) => join(frames.slice(1)),
  "another version": (random, [hello, ...frames]) => {
    const head = (hello as Frame).head.replace(
      `"ekiben":${wireVersion}`,
      `"ekiben":${random.pick(["0", "1", "1e9", '"1"', "null"])}`,
    );
    return join([{ ...(hello as Frame), head }, ...frames]);
  },
  "another replica": (_, frames) => join([createHello("Other#0"), ...frames.slice(1)]),
  "a frame of a wrong kind": (random, frames) => {
    const at = random.between(0, frames.length - 1);
    frames[at] = {
      ...(frames[at] as Frame),
      kind: random.chance(0.7) ? random.between(0, 15) : random.between(0, 255),
    };
    return join(frames);
  },
  "a frame with other flags": (random, frames) => {
    const at = place(random, frames.slice(1));
    frames[at] = { ...(frames[at] ?? (frames[0] as Frame)), flags: random.between(0, 255) };
    return join(frames);
  },
  "a frame with another number": (random, frames) => {
    const at = random.between(0, frames.length - 1);
    frames[at] = { ...(frames[at] as Frame), id: random.pick([0, 1, 2, 5, 0xffff_ffff]) };
    return join(frames);
  },
  "a changed head": (random, frames) => {
    const at = random.between(0, frames.length - 1);
    const frame = frames[at] as Frame;
    frames[at] = { ...frame, head: changeText(random, frame.head) };
    return join(frames);
  },
  "other tails": (random, frames) => {
    const at = place(random, frames.slice(1));
    const frame = frames[at] ?? (frames[0] as Frame);
    const tails = Array.from({ length: random.between(0, 3) }, () => createBytes(random, random.between(0, 20)));
    frames[at] = { ...frame, tails: random.chance(0.5) ? tails : [...frame.tails, ...tails] };
    return join(frames);
  },
  "a prefix that claims too much": (random, frames) => {
    const bodyBytes = random.pick([maxFrameBytes + 1, 2 ** 31, 2 ** 32 - 1]);
    return Buffer.concat([join(frames), createPrefix({ bodyBytes }), createBytes(random, 20)]);
  },
  "a frame that never ends": (random, frames) =>
    Buffer.concat([
      join(frames),
      createPrefix({ bodyBytes: random.between(21, maxFrameBytes) }),
      createBytes(random, 20),
    ]),
  "a credit beyond what was sent": (random, frames) => {
    const head = random.pick(["257", "1e300", String(Number.MAX_SAFE_INTEGER), "0", "-1", "x", ""]);
    frames.push(frameOf(frameKinds.credit, random.between(1, frames.length), head));
    return join(frames);
  },
  "several items in a frame": (random, frames) => {
    const head = Array.from({ length: random.pick([1, 2, 64, 65]) }, () => random.pick(["1", "2", "{", ""])).join("\n");
    const more = { flags: random.pick([8, 8, 9, 10]), tails: random.chance(0.8) ? noTails : [new Uint8Array(3)] };
    frames.splice(place(random, frames), 0, frameOf(frameKinds.item, random.between(1, 14), head, more));
    return join(frames);
  },
  "an item, an end or a failure of an input": (random, frames) => {
    const kind = random.pick([frameKinds.item, frameKinds.end, frameKinds.failure]);
    frames.splice(place(random, frames), 0, frameOf(kind, random.between(1, 14), random.pick(["1", "{", ""])));
    return join(frames);
  },
  "more items than a window": (random, frames) => {
    const id = random.between(1, 14);
    const items = Array.from({ length: random.between(200, 600) }, () => frameOf(frameKinds.item, id, "1"));
    frames.splice(place(random, frames), 0, ...items);
    return join(frames);
  },
  "a slab": (random, frames) => {
    const name = random.pick(["a".repeat(24), "../../etc/passwd", "/dev/zero", "", `${"a".repeat(23)}/`, "\0"]);
    frames.splice(place(random, frames), 0, frameOf(frameKinds.slab, random.between(0, 2), name));
    return join(frames);
  },
  "the release of a slab": (random, frames) => {
    const head = random.pick(["1", "0", "1 2 3", "x", "", "1e9"]);
    frames.splice(place(random, frames), 0, frameOf(frameKinds.release, 0, head));
    return join(frames);
  },
  "a tail in a slab": (random, frames) => {
    const bytes = encodeFrame(frameOf(random.between(2, 5), 1, "null", { tails: [new Uint8Array(8)] }));
    bytes.writeUInt32LE(random.pick([8, 100_000, 2 ** 32 - 1]), prefixBytes);
    bytes.writeUInt32LE(random.pick([1, 2, 2 ** 32 - 1]), prefixBytes + 4);
    return Buffer.concat([join(frames), bytes]);
  },
};

/** Mutations of a session. */
const mutationNames: readonly string[] = Object.keys(mutations);

function mutate(random: Random, frames: Frame[]): RandomSession {
  const what = random.pick(mutationNames);
  return { what, bytes: (mutations[what] as Mutation)(random, frames) };
}

function changeText(random: Random, text: string): string {
  const at = random.between(0, text.length);
  const rest = text.slice(at + random.between(0, 3));
  const put = random.pick([
    "",
    "\n",
    '"',
    "{",
    "[[[[",
    "}",
    "\\",
    "\0",
    "9e999",
    "-",
    '{"$":["tensor"]}',
    "__proto__",
    "null",
  ]);
  return `${text.slice(0, at)}${put}${rest}`;
}
