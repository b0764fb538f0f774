import { Tensor } from "../../src/define/tensor.js";

/** One value, and the bytes that an ekiben without versions of stored values wrote for it. */
export interface OldValue {
  readonly name: string;
  readonly value: unknown;
  readonly bytes: Buffer;
  /** Fingerprint that was stored beside the key of a task with this input. */
  readonly fingerprint: string;
}

const old = (name: string, value: unknown, base64: string, fingerprint: string): OldValue => ({
  name,
  value,
  bytes: Buffer.from(base64, "base64"),
  fingerprint,
});

/**
 * Values recorded from the last commit before stored values had a version (2026-11-28). They are never generated again.
 */
export const oldValues: readonly OldValue[] = [
  old(
    "plain",
    { text: "ä", list: [1, null, true] },
    "IgAAAAMAAAAAAAAAIgAAAHsidGV4dCI6IsOkIiwibGlzdCI6WzEsbnVsbCx0cnVlXX0=",
    "lLlS-Vr9Nyl_gKbQpjHWaWxG-v7-3cpl5-VmwZZItl8",
  ),
  old("text", "hello", "BwAAAAMAAAAAAAAABwAAACJoZWxsbyI=", "Wqdirjg_u3J688ejbUlApbjECpiUUtIwT8lY_z81Tno"),
  old(
    "undefined",
    undefined,
    "EQAAAAMBAAAAAAAAEQAAAHsiJCI6InVuZGVmaW5lZCJ9",
    "2yq6oqb2QR9cPoZewSWVs_F0ORxPowCgUIzVplOrBZk",
  ),
  old(
    "map, date and bigint",
    new Map<string, unknown>([
      ["at", new Date(5)],
      ["n", 7n],
    ]),
    "PgAAAAMBAAAAAAAAPgAAAHsiJCI6WyJtYXAiLFsiYXQiLHsiJCI6WyJkYXRlIiw1XX0sIm4iLHsiJCI6WyJiaWdpbnQiLCI3Il19XV19",
    "z2re14XN8nqDgCvyBp88iBYv8RhkShFGEFjA-24Uscc",
  ),
  old(
    "tensor",
    new Tensor("float32", [2, 2], new Float32Array([1, 2, 3, 4])),
    "QAAAAAMBAQAAAAAAIgAAABAAAAAAAAAAeyIkIjpbInRlbnNvciIsImZsb2F0MzIiLFsyLDJdLDBdfQAAAAAAAAAAgD8AAABAAABAQAAAgEA=",
    "QWF2rxY6H6VByiBUuZDKUPnoa7Q_zHxKw04Wgd3sAdI",
  ),
  old(
    "byte arrays",
    { a: new Uint8Array([1, 2, 3]), b: new Uint8Array([9]) },
    "UAAAAAMBAgAAAAAALQAAAAMAAAAAAAAAAQAAAAAAAAB7ImEiOnsiJCI6WyJ1aW50OCIsMF19LCJiIjp7IiQiOlsidWludDgiLDFdfX0AAAABAgMAAAAAAAkAAAAAAAAA",
    "BMkP63daQ9ufOuUy8fDQQiR__vDsX3kJMCedHmFCyJU",
  ),
];

/** A text of 100,000 letters: more than a row of SQLite holds, so that it is stored as a file. */
export function createLargeOldValue(): OldValue {
  const value = "x".repeat(100_000);
  const head = Buffer.from(JSON.stringify(value));
  const prefix = Buffer.alloc(16);
  prefix.writeUInt32LE(head.length, 0);
  prefix[4] = 3;
  prefix.writeUInt32LE(head.length, 12);
  return { name: "large text", value, bytes: Buffer.concat([prefix, head]), fingerprint: "" };
}
