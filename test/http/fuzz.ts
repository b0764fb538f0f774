import assert from "node:assert/strict";
import { createCallTime } from "../../src/call/call-scope.js";
import { FakeClock } from "../fake-clock.js";
import { FuzzService } from "./fuzz-service.js";
import { Random } from "./random.js";
import { createRequest, type RandomRequest } from "./random-request.js";
import { parseResponse, RawConnection } from "./raw-connection.js";
import { createTestServer } from "./test-server.js";

/** Number of responses by status. */
export type StatusCount = Map<number, number>;

/**
 * Sends random requests and checks each answer: never a 5xx, always a failure body, and the server stays healthy.
 *
 * @throws {AssertionError} that names the seed of the request that found a fault.
 */
export async function fuzz(seed: number, count: number): Promise<StatusCount> {
  // Time stands still: no result depends on the speed of the machine. A request that waits would wait for ever.
  const clock = new FakeClock();
  const settings = { maxBodyBytes: 4000, maxBodyDepth: 32 };
  await using server = await createTestServer(FuzzService, { settings, deps: { time: createCallTime(clock) } });
  const { port } = await server.listen();
  const document = (await server.fastify.inject("/openapi.json")).json();
  const statuses: StatusCount = new Map();
  for (let i = 0; i < count; i++) {
    const request = createRequest(new Random(seed + i), document);
    const text = await exchange(port, request.bytes);
    try {
      const status = checkAnswer(request, text);
      statuses.set(status, (statuses.get(status) ?? 0) + 1);
    } catch (cause) {
      const shown = `${request.bytes.toString("latin1").slice(0, 2000)}\n--- answered ---\n${text.slice(0, 2000)}`;
      throw new assert.AssertionError({ message: `seed ${seed + i}: ${(cause as Error).message}\n${shown}` });
    }
    if (i % 50 === 0) await checkHealth(port);
  }
  await checkHealth(port);
  return statuses;
}

/**
 * Returns everything the server sends before it closes. The connection is half-closed, so that no request waits for
 * more bytes.
 */
async function exchange(port: number, bytes: Buffer): Promise<string> {
  const connection = new RawConnection(port);
  connection.socket.end(bytes);
  const text = await connection.closed();
  connection.end();
  return text.replace(/^(?:HTTP\/1\.1 100 Continue\r\n\r\n)+/, "");
}

function checkAnswer({ kind, bytes }: RandomRequest, text: string): number {
  // A request whose head or body never ended has no answer.
  if (text === "" && kind === "raw") return 0;
  const { status, headers, body } = parseResponse(text);
  assert.ok(status >= 200 && status < 500, `status ${status}`);
  if (kind === "valid") assert.ok(status < 300 || isUnsure(body), `a valid request was answered with ${status}`);
  if (status >= 400 && !bytes.toString("latin1").startsWith("HEAD")) {
    assert.match(String(headers["content-type"]), /^application\/json/);
    const failure = JSON.parse(Buffer.from(body, "latin1").toString());
    for (const key of ["error", "code", "id", "service", "api", "requestId"])
      assert.equal(typeof failure[key], "string", key);
    assert.equal(typeof failure.details, "object");
    assert.notEqual(failure.error, "");
  }
  return status;
}

/**
 * Facts about an input that the document can't express: a named size, the type of a file, a text that JSON parts
 * can't tell from others.
 */
const isUnsure = (body: string): boolean => /"id":"(?:invalid_input|invalid_npy|missing_body)"/.test(body);

async function checkHealth(port: number): Promise<void> {
  const body = '"known"';
  const head = "POST /known HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n";
  const text = await exchange(port, Buffer.from(`${head}content-length: ${body.length}\r\n\r\n${body}`));
  assert.equal(parseResponse(text).body, '"well"');
}
