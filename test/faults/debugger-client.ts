import { once } from "node:events";
import { request } from "node:http";
import type { Socket } from "node:net";

const closeFrame = 0x88;

/** Debugger that can pause and resume a process: JSON over a WebSocket, for which Node 20 has no client. */
export class DebuggerClient implements Disposable {
  readonly #socket: Socket;
  #lastId = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    // The other side asks for the end of the connection, as it does when its process is about to end.
    socket.on("data", (chunk: Buffer) => {
      if (chunk[0] === closeFrame) socket.destroy();
    });
  }

  static async attach(url: string): Promise<DebuggerClient> {
    const headers = {
      connection: "Upgrade",
      upgrade: "websocket",
      "sec-websocket-version": "13",
      "sec-websocket-key": Buffer.alloc(16).toString("base64"),
    };
    const asked = request(url.replace(/^ws:/, "http:"), { headers });
    asked.end();
    const [, socket] = (await once(asked, "upgrade")) as [unknown, Socket];
    return new DebuggerClient(socket);
  }

  /** Encodes one method without parameters as a frame of at most 125 bytes, masked with zeros. */
  send(method: string): void {
    const text = Buffer.from(JSON.stringify({ id: ++this.#lastId, method }));
    this.#socket.write(Buffer.concat([Buffer.from([0x81, 0x80 | text.length, 0, 0, 0, 0]), text]));
  }

  [Symbol.dispose](): void {
    this.#socket.destroy();
  }
}
