import { readFile } from "node:fs/promises";

/** Two sentences of a novel, read by a person, with silence before, between and after: see fixtures/NOTICE.md. */
export const readRecording = (): Promise<Uint8Array<ArrayBuffer>> =>
  readFile(new URL("fixtures/austen.wav", import.meta.url)).then((file) => new Uint8Array(file));

/** Positions of the sentences. */
export const sentences = [
  { fromMs: 768, toMs: 3360, probability: 0.949 },
  { fromMs: 4768, toMs: 7520, probability: 0.993 },
];

/** The recording in pieces, as a microphone would give it. */
export async function* speak(recording: Uint8Array<ArrayBuffer>, onPiece: (sentBytes: number) => void = () => {}) {
  // No whole number of samples, and none of windows.
  const pieceBytes = 1001;
  for (let at = 0; at < recording.length; at += pieceBytes) {
    onPiece(at);
    yield recording.subarray(at, at + pieceBytes);
  }
}
