import { once } from "node:events";
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

/** A request to a stub, and the means to answer it. */
export interface StubRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly response: ServerResponse;
  /** Resolves when the client has left or the response is out. */
  readonly closed: Promise<unknown>;
}

/** A server that answers as a test says, for answers that a real one never gives. */
export interface StubServer extends AsyncDisposable {
  readonly url: string;
  readonly requests: readonly StubRequest[];
}

/** One api of a stub, as `/schema.json` describes it. */
export interface StubApi {
  readonly kind?: "unary" | "stream" | "task" | "duplex";
  readonly route?: string;
  readonly output?: object;
  readonly answer: (request: StubRequest) => unknown;
}

/** Starts a stub of service `Stub` with these apis. */
export async function startStub(apis: Readonly<Record<string, StubApi>>): Promise<StubServer> {
  const routes = Object.entries(apis).map(([name, { kind = "unary", route = `/${name}`, output = {} }]) => {
    return { name, route, kind, input: {}, output };
  });
  const answers = new Map(Object.entries(apis).map(([name, { route = `/${name}`, answer }]) => [route, answer]));
  return startRawStub((request) => {
    if (request.path === "/schema.json") return answerJson(request, { name: "Stub", version: "1", routes });
    return answers.get(request.path)?.(request);
  });
}

/** Starts a stub that answers every path, `/schema.json` included, by one function. */
export async function startRawStub(answer: (request: StubRequest) => unknown): Promise<StubServer> {
  const requests: StubRequest[] = [];
  const server = createServer(async (incoming, response) => {
    const body = await readAll(incoming);
    const { method = "", url: path = "", headers } = incoming;
    const request: StubRequest = { method, path, headers, body, response, closed: once(response, "close") };
    requests.push(request);
    await answer(request);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = async () => {
    server.close();
    server.closeAllConnections();
    await once(server, "close");
  };
  return { url, requests, [Symbol.asyncDispose]: close };
}

export function answerJson({ response }: StubRequest, value: unknown, status = 200): void {
  response.writeHead(status, { "content-type": "application/json; charset=utf-8" });
  response.end(JSON.stringify(value));
}

async function readAll(incoming: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of incoming) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}
