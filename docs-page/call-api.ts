import { Answer } from "./answer.js";
import { essenceOf } from "./documented-api.js";
import { showStream } from "./show-stream.js";

const streamTypes = ["text/event-stream", "application/x-ndjson", "text/plain"];

/** Calls an api and shows the answer in `place`, a stream item by item. Never rejects. */
export async function callApi(
  url: string,
  request: RequestInit,
  { place, isStream }: { readonly place: HTMLElement; readonly isStream: boolean },
): Promise<void> {
  const answer = new Answer(place);
  try {
    const response = await fetch(url, request);
    answer.begin(response);
    const type = essenceOf(response.headers.get("content-type"));
    if (!response.ok) await answer.showRefusal(response);
    else if (isStream && streamTypes.includes(type) && response.body !== null) {
      await showStream(response.body, type, answer);
    } else await answer.showBody(response, type);
  } catch (error) {
    answer.showError(error as Error);
  }
}
