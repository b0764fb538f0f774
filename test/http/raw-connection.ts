import { connect, type Socket } from "node:net";

/** A parsed response. */
export interface RawResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** A connection on which a test sends any bytes. */
export class RawConnection {
  readonly socket: Socket;
  #text = "";
  #waiting: (() => void) | undefined;
  #isClosed = false;

  constructor(port: number) {
    this.socket = connect(port, "127.0.0.1");
    this.socket.on("data", (chunk) => {
      this.#text += chunk.toString("latin1");
      this.#waiting?.();
    });
    this.socket.on("error", () => {});
    this.socket.on("close", () => {
      this.#isClosed = true;
      this.#waiting?.();
    });
  }

  write(text: string | Uint8Array): void {
    this.socket.write(text);
  }

  /** Returns the received text once `isEnough` holds or the server has closed the connection. */
  async until(isEnough: (text: string) => boolean): Promise<string> {
    while (!isEnough(this.#text) && !this.#isClosed) {
      await new Promise<void>((resolve) => {
        this.#waiting = resolve;
      });
    }
    return this.#text;
  }

  /** Returns everything that came before the server closed the connection. */
  closed(): Promise<string> {
    return this.until(() => false);
  }

  /** Takes the next response, which must have a content-length, out of the received text. */
  async response(): Promise<RawResponse> {
    const text = await this.until((received) => lengthOf(received) !== undefined);
    const length = lengthOf(text) ?? text.length;
    this.#text = text.slice(length);
    return parseResponse(text.slice(0, length));
  }

  end(): void {
    this.socket.destroy();
  }
}

function lengthOf(text: string): number | undefined {
  const head = text.indexOf("\r\n\r\n");
  const length = Number(/content-length: (\d+)/i.exec(text.slice(0, Math.max(0, head)))?.[1]);
  return head >= 0 && text.length >= head + 4 + length ? head + 4 + length : undefined;
}

/** Parses the first response of a text and ignores what follows it. */
export function parseResponse(text: string): RawResponse {
  const head = text.indexOf("\r\n\r\n");
  const [first = "", ...lines] = text.slice(0, head).split("\r\n");
  const headers = Object.fromEntries(
    lines.map((line): [string, string] => {
      const colon = line.indexOf(":");
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  const length = headers["content-length"];
  const body = text.slice(head + 4, length === undefined ? text.length : head + 4 + Number(length));
  return { status: Number(first.split(" ")[1]), headers, body };
}
