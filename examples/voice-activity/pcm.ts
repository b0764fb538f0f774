import { sampleRate, windowSamples } from "@ekiben/example-models/voice-detector";
import { ServingError, Tensor } from "ekiben";

/** 32 ms of sound: samples from -1 to 1. */
export type Window = Tensor<"float32", readonly [typeof windowSamples]>;

/** Maximum length of a header. */
const maxHeaderBytes = 64 * 1024;

/**
 * Cuts PCM (16 bits, 16 kHz, one channel) into windows as it arrives: a WAV file, or bare samples. Chunks may end
 * anywhere, also inside a sample. The last window is filled up with silence.
 *
 * @throws {ServingError} `unsupported_audio` for a WAV file of another kind.
 */
export async function* cutWindows(chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Window> {
  const windowBytes = windowSamples * 2;
  let rest = Buffer.alloc(0);
  let hasBegun = false;
  for await (const chunk of chunks) {
    rest = Buffer.concat([rest, chunk]);
    if (!hasBegun) {
      const start = findSamples(rest);
      if (start === undefined) continue;
      rest = rest.subarray(start);
      hasBegun = true;
    }
    let at = 0;
    for (; rest.length - at >= windowBytes; at += windowBytes) yield readWindow(rest.subarray(at, at + windowBytes));
    rest = rest.subarray(at);
  }
  if (hasBegun && rest.length > 1) yield readWindow(rest);
}

function readWindow(bytes: Buffer): Window {
  const samples = new Float32Array(windowSamples);
  for (let i = 0; i < bytes.length >> 1; i++) samples[i] = bytes.readInt16LE(i * 2) / 32_768;
  return new Tensor("float32", [windowSamples], samples);
}

/** Position of the first sample; `undefined` until it is known. */
function findSamples(bytes: Buffer): number | undefined {
  if (bytes.length < 4) return undefined;
  if (bytes.toString("latin1", 0, 4) !== "RIFF") return 0;
  for (let at = 12; at + 8 <= bytes.length; ) {
    const name = bytes.toString("latin1", at, at + 4);
    if (name === "data") return at + 8;
    const size = bytes.readUInt32LE(at + 4);
    if (name === "fmt " && at + 24 <= bytes.length) checkFormat(bytes.subarray(at + 8));
    at += 8 + size + (size % 2);
  }
  if (bytes.length > maxHeaderBytes) throw unsupported("its header has no end");
  return undefined;
}

function checkFormat(format: Buffer): void {
  const [kind, channels, rate, bits] = [
    format.readUInt16LE(0),
    format.readUInt16LE(2),
    format.readUInt32LE(4),
    format.readUInt16LE(14),
  ];
  if (kind === 1 && channels === 1 && rate === sampleRate && bits === 16) return;
  throw unsupported(`it has ${channels} channels of ${bits} bits at ${rate} Hz (format ${kind})`);
}

const unsupported = (what: string) =>
  new ServingError({
    code: "invalid_argument",
    id: "unsupported_audio",
    message: `the recording can't be read: ${what}`,
    fix: `Send PCM of 16 bits, one channel, ${sampleRate} Hz: ffmpeg -i in.mp3 -ac 1 -ar ${sampleRate} -sample_fmt s16 out.wav`,
  });
