/** One event of a `text/event-stream` (https://html.spec.whatwg.org/multipage/server-sent-events.html#parsing-an-event-stream). */
export interface StreamEvent {
  /** `"message"` where the server named none. */
  readonly name: string;
  readonly data: string;
}

/** Puts events together from pieces of text that begin and end anywhere. */
export class EventParser {
  #rest = "";
  #name = "";
  #data: string[] = [];

  /** Whether an event has begun whose end has not come. */
  get isInside(): boolean {
    return this.#rest !== "" || this.#data.length > 0 || this.#name !== "";
  }

  /** The events that end in this piece. */
  add(piece: string): StreamEvent[] {
    const end = piece.lastIndexOf("\n");
    if (end < 0) {
      this.#rest += piece;
      return [];
    }
    const lines = (this.#rest + piece.slice(0, end)).split("\n");
    this.#rest = piece.slice(end + 1);
    const events: StreamEvent[] = [];
    for (const line of lines) {
      const text = line.endsWith("\r") ? line.slice(0, -1) : line;
      if (text !== "") this.#addLine(text);
      else if (this.#data.length > 0) events.push(this.#take());
      else this.#name = "";
    }
    return events;
  }

  #addLine(line: string): void {
    const colon = line.indexOf(":");
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (field === "data") this.#data.push(value);
    else if (field === "event") this.#name = value;
  }

  #take(): StreamEvent {
    const event = { name: this.#name || "message", data: this.#data.join("\n") };
    this.#name = "";
    this.#data = [];
    return event;
  }
}
