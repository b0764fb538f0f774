import assert from "node:assert/strict";
import { after, it } from "node:test";
import { serve } from "ekiben";
import { connect } from "ekiben/client";
import { readRecording, sentences, speak } from "./recording.ts";
import { Segmenter } from "./service.ts";

const recording = await readRecording();
const server = await serve(Segmenter, { port: 0, options: { logLevel: "silent" } });
after(() => server.close());

it("hears a client that sends while it listens", async () => {
  const segmenter = await connect<Segmenter>(server.url);
  const heard: unknown[] = [];
  for await (const segment of segmenter.segments(speak(recording))) heard.push(segment);
  assert.deepEqual(heard, sentences);
});

it("hears a file that is the body of a request, and answers in lines", async () => {
  const response = await fetch(`${server.url}/segments`, {
    method: "POST",
    headers: { "content-type": "audio/wav" },
    body: recording,
  });
  assert.equal(response.headers.get("content-type"), "application/x-ndjson; charset=utf-8");
  const lines = (await response.text()).trimEnd().split("\n");
  assert.deepEqual(
    lines.map((line) => JSON.parse(line)),
    sentences,
  );
});
