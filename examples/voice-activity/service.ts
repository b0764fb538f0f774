import { VoiceDetector, windowSamples } from "@ekiben/example-models/voice-detector";
import { api, depends, resource, Service, stream, tensor } from "ekiben";
import { z } from "zod";
import { joinSegments } from "./join-segments.ts";
import { cutWindows } from "./pcm.ts";

const segment = z.object({ fromMs: z.number(), toMs: z.number(), probability: z.number() });
const bytes = z.instanceof(Uint8Array<ArrayBufferLike>);

/** Says of each window of a recording how likely it is speech. The model remembers what it has heard, so a stream is one recording. */
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

/** Sound in, while it is recorded; stretches of speech out, each as soon as it is over. */
export class Segmenter extends Service() {
  voice = depends(VoiceActivity);

  segments = api(
    { input: stream(bytes), yields: segment, summary: "Finds speech in PCM or WAV, 16 bits, mono, 16 kHz." },
    (chunks) => joinSegments(this.voice.hear(cutWindows(chunks))),
  );
}
