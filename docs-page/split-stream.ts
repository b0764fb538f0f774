/** An item of a stream as text, with the name of its event where it has one. */
interface StreamedText {
  readonly name?: string | undefined;
  readonly text: string;
}

/** Cuts the body of a streamed answer into items: events, lines, or chunks of plain text as they come. */
export async function* splitStream(
  body: ReadableStream<Uint8Array<ArrayBuffer>>,
  type: string,
): AsyncGenerator<StreamedText> {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  const isEvents = type === "text/event-stream";
  const separator = isEvents ? /\r?\n\r?\n/ : /\r?\n/;
  let rest = "";
  for (let step = await reader.read(); !step.done; step = await reader.read()) {
    if (type === "text/plain") {
      yield { text: step.value };
      continue;
    }
    const parts = (rest + step.value).split(separator);
    rest = parts.pop() ?? "";
    for (const text of parts) if (text !== "") yield isEvents ? readEvent(text) : { text };
  }
  if (rest.trim() !== "") yield isEvents ? readEvent(rest) : { text: rest };
}

function readEvent(block: string): StreamedText {
  const fields = block.split(/\r?\n/).map((line) => /^(\w+):? ?(.*)$/.exec(line) ?? []);
  const all = (name: string) => fields.filter(([, field]) => field === name).map(([, , text]) => text as string);
  return { name: all("event").at(-1), text: all("data").join("\n") };
}
