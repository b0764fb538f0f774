import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { ServingError } from "ekiben";
import { compose } from "ekiben/testing";
import { readRecording, sentences, speak } from "./recording.ts";
import { Segmenter, VoiceActivity } from "./service.ts";

const recording = await readRecording();
const headerBytes = 44;

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const list: T[] = [];
  for await (const item of items) list.push(item);
  return list;
}

for (const placement of ["inline", "thread", "process"] as const)
  describe(`voice activity, ${placement}`, async () => {
    const app = await compose(Segmenter, { placement });
    after(() => app.close());

    it("finds both sentences", async () => {
      assert.deepEqual(await collect(app.entry.segments(speak(recording))), sentences);
    });

    it("takes bare samples too, in pieces of any size", async () => {
      assert.deepEqual(await collect(app.entry.segments([recording.subarray(headerBytes)])), sentences);
      assert.deepEqual(await collect(app.entry.segments([])), []);
    });

    it("gives a sentence when it is over, not when the recording is", async () => {
      let sentBytes = 0;
      const pieces = speak(recording, (bytes) => {
        sentBytes = bytes;
      });
      for await (const segment of app.entry.segments(pieces)) {
        assert.deepEqual(segment, sentences[0]);
        break;
      }
      // The sound of two sentences takes 32 bytes a millisecond; one window of a stream per hop is in transit in
      // addition.
      assert.ok(sentBytes > 3360 * 32, `${sentBytes} bytes were sent`);
      if (placement === "inline") assert.ok(sentBytes < 4768 * 32, `${sentBytes} bytes were sent`);
    });

    it("keeps recordings apart that are heard at the same time", async () => {
      const both = await Promise.all(
        [recording, recording.slice(0, 130_000), recording].map((heard) => collect(app.entry.segments(speak(heard)))),
      );
      assert.deepEqual(both, [sentences, [sentences[0]], sentences]);
    });

    it("says how likely each window is speech", async () => {
      const { cutWindows } = await import("./pcm.ts");
      const likely = await collect(app.service(VoiceActivity).hear(cutWindows(speak(recording))));
      assert.equal(likely.length, Math.ceil((recording.length - headerBytes) / 1024));
      assert.ok(likely.slice(0, 15).every((probability) => probability < 0.1));
      assert.ok(likely.slice(60, 80).every((probability) => probability > 0.8));
    });

    it("refuses a recording that it can't read, and says what to send", async () => {
      const stereo = recording.slice();
      stereo[22] = 2;
      const error = await collect(app.entry.segments(speak(stereo))).catch((thrown: unknown) => thrown);
      assert.ok(error instanceof ServingError);
      assert.deepEqual([error.id, error.code], ["unsupported_audio", "invalid_argument"]);
      assert.match(error.message, /2 channels of 16 bits at 16000 Hz/);
    });
  });
