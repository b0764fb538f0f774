import { VoiceDetector, windowSamples } from "@ekiben/example-models/voice-detector";
import { api, depends, resource, Service, stream, tensor } from "ekiben";
import { z } from "zod";
import { joinSegments } from "./join-segments.ts";
import { cutWindows } from "./pcm.ts";

const segment = z.object({ fromMs: z.number(), toMs: z.number(), probability: z.number() });
const bytes = z.instanceof(Uint8Array<ArrayBufferLike>);

/**
 * Returns the probability of speech for each window of a recording. The model remembers previous windows, so a stream
 * is one recording.
 */
export class VoiceActivity extends Service({ resources: { cpu: 1 } }) {
  detector = resource(
    ({ resources }) => VoiceDetector.load(resources.cpuThreads),
    (detector) => detector.release(),
  );

  hear = api({ input: stream(tensor("float32", [windowSamples])), yields: z.number() }, (windows) =>
    this.#hear(windows),
  );

  async *#hear(windows: AsyncIterable<{ readonly data: Float32Array }>) {
    const listener = this.detector.listen();
    for await (const { data } of windows) yield listener.hear(data);
  }
}

/** Takes sound while it is recorded; yields each segment of speech when it has ended. */
export class Segmenter extends Service() {
  voice = depends(VoiceActivity);

  segments = api(
    { input: stream(bytes), yields: segment, summary: "Finds speech in PCM or WAV, 16 bits, mono, 16 kHz." },
    (chunks) => joinSegments(this.voice.hear(cutWindows(chunks))),
  );
}
