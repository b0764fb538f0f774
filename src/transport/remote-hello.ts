import { readHelloFields } from "./channel.js";
import { type Frame, frameKinds, malformed, noTails, wireVersion } from "./frame.js";

// First frames of a link between two apps. A caller does not know the replica before the hello, and the two sides may
// have been built from different sources. So each names the service and the digest of its contract; where the digests
// differ, each sends its contract in one more frame.

/** Largest hello, and largest contract, in bytes of a frame. Until they have passed, no larger frame is read. */
export const maxHelloBytes = 8 * 1024;
export const maxContractBytes = 1024 ** 2;

/** First frame of a caller. */
export interface CallerHello {
  /** Service that it wants to call. */
  readonly service: string;
  /** Id of its thread or process, for logs. */
  readonly caller: string;
  /** Digest of the contract that it was built with. */
  readonly contract: string;
}

/** First frame of a replica. */
export interface ReplicaHello {
  readonly service: string;
  /** Unique in all apps: `"<instance>/Ranker#0"`. */
  readonly replica: string;
  /** Ready replicas behind the address. */
  readonly replicas: number;
  /** Zone in which it runs; `""` when none was told. */
  readonly zone: string;
  readonly contract: string;
}

export const createCallerHello = (hello: CallerHello): Frame => createFrame(frameKinds.hello, hello);
export const createReplicaHello = (hello: ReplicaHello): Frame => createFrame(frameKinds.hello, hello);

/** @throws {ServingError} `malformed_frame`, `wire_version`. */
export function readCallerHello(frame: Frame): CallerHello {
  const fields = readFields(frame);
  return {
    service: readName(fields, "service"),
    caller: readName(fields, "caller"),
    contract: readDigest(fields),
  };
}

/** @throws {ServingError} `malformed_frame`, `wire_version`. */
export function readReplicaHello(frame: Frame): ReplicaHello {
  const fields = readFields(frame);
  const { replicas } = fields;
  if (!isCount(replicas)) throw malformed("its hello has no number of replicas");
  return {
    service: readName(fields, "service"),
    replica: readName(fields, "replica"),
    replicas,
    zone: fields["zone"] === "" || fields["zone"] === undefined ? "" : readName(fields, "zone"),
    contract: readDigest(fields),
  };
}

/** @returns `undefined` for a contract that is too large to be sent. */
export function createContractFrame(form: object): Frame | undefined {
  const head = JSON.stringify(form);
  if (Buffer.byteLength(head) > maxContractBytes) return undefined;
  return { kind: frameKinds.contract, flags: 0, id: 0, head, tails: noTails };
}

/** Reads the contract of the other side. Only its form as JSON is checked. @throws {ServingError} `malformed_frame`. */
export function readContractFrame({ kind, head, tails }: Frame): object {
  if (kind !== frameKinds.contract) throw malformed(`a frame of kind ${kind} in place of its contract`);
  const form = tails.length === 0 ? parse(head) : undefined;
  if (form === undefined) throw malformed("its contract is no JSON object");
  return form;
}

/** Load of a replica, as it says so itself. */
export interface ReplicaLoad {
  /** Calls that run or wait there, those of all callers together. */
  readonly calls: number;
  /** Calls that may run at once. */
  readonly slots: number;
}

export function createLoadFrame({ calls, slots }: ReplicaLoad): Frame {
  return { kind: frameKinds.load, flags: 0, id: 0, head: `${calls} ${slots}`, tails: noTails };
}

/** @throws {ServingError} `malformed_frame`. */
export function readLoadFrame({ head }: Frame): ReplicaLoad {
  const [, calls, slots] = /^(\d{1,9}) (\d{1,9})$/.exec(head) ?? [];
  if (calls === undefined || Number(slots) === 0) throw malformed(`its load is ${head.slice(0, 40)}`);
  return { calls: Number(calls), slots: Number(slots) };
}

/** @param number Number of the ping; the pong carries the same. */
export const createPing = (number: number): Frame => ({
  kind: frameKinds.ping,
  flags: 0,
  id: number,
  head: "",
  tails: noTails,
});

/** @param replicas Ready replicas behind the address now. */
export const createPong = ({ id }: Frame, replicas: number): Frame => ({
  kind: frameKinds.pong,
  flags: 0,
  id,
  head: `${replicas}`,
  tails: noTails,
});

/** Reads the number of replicas in a pong. @throws {ServingError} `malformed_frame`. */
export function readPong({ head }: Frame): number {
  const replicas = /^\d{1,6}$/.test(head) ? Number(head) : undefined;
  if (!isCount(replicas)) throw malformed(`its pong says ${head.slice(0, 40)} replicas`);
  return replicas;
}

function createFrame(kind: number, fields: CallerHello | ReplicaHello): Frame {
  return { kind, flags: 0, id: 0, head: JSON.stringify({ ekiben: wireVersion, ...fields }), tails: noTails };
}

function readFields(frame: Frame): Readonly<Record<string, unknown>> {
  if (frame.tails.length > 0 || frame.head.length > maxHelloBytes) throw malformed("its hello is too large");
  return readHelloFields(frame);
}

/** Text of 1 to 512 printable characters: names end up in logs and messages. */
const namePattern = /^[^\p{C}]{1,512}$/u;

function readName(fields: Readonly<Record<string, unknown>>, field: string): string {
  const value = fields[field];
  if (typeof value !== "string" || !namePattern.test(value)) throw malformed(`its hello has no ${field}`);
  return value;
}

function readDigest({ contract }: Readonly<Record<string, unknown>>): string {
  if (typeof contract !== "string" || !/^[\da-f]{32}$/.test(contract)) throw malformed("its hello has no contract");
  return contract;
}

const isCount = (value: unknown): value is number =>
  Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= 1_000_000;

function parse(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}
