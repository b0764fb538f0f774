import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { createTaskBody, formatHostile, type HostileBody, hostileBodies } from "./http/hostile-bodies.js";
import { HostileService } from "./http/hostile-service.js";
import { Random } from "./http/random.js";
import { parseResponse, RawConnection } from "./http/raw-connection.js";
import { createTestServer, type TestServer } from "./http/test-server.js";

const bodyBytes = 1024 ** 2;
/** CPU time in milliseconds that JSON.parse needs for as many bytes of the shortest objects. */
let parseMs = 0;

const cpuMs = () => process.cpuUsage().user / 1000;

function measureParse(): number {
  const text = `[${"{},".repeat(bodyBytes / 3)}{}]`;
  const times = Array.from({ length: 7 }, () => {
    const began = cpuMs();
    JSON.parse(text);
    return cpuMs() - began;
  });
  return times.sort((a, b) => a - b)[3] as number;
}

describe("a body that costs its sender little", () => {
  let server: TestServer;
  let port = 0;
  let data = "";
  before(async () => {
    data = await mkdtemp(join(tmpdir(), "hostile-"));
    server = await createTestServer(HostileService, { data });
    ({ port } = await server.listen());
    parseMs = Math.max(5, measureParse());
  });
  after(async () => {
    await server.close();
    await rm(data, { recursive: true, force: true });
  });

  async function send(body: HostileBody) {
    const connection = new RawConnection(port);
    connection.write(formatHostile(body));
    const response = parseResponse(await connection.closed());
    connection.end();
    return response;
  }

  /** Budgets relative to the input: size of the answer, CPU time, memory. */
  async function keepsBudget(body: HostileBody): Promise<void> {
    const kept = process.memoryUsage.rss();
    let most = kept;
    let isOver = false;
    const look = () => {
      most = Math.max(most, process.memoryUsage().rss);
      if (!isOver) setImmediate(look);
    };
    setImmediate(look);
    const began = cpuMs();
    const { status, body: text } = await send(body);
    const spent = cpuMs() - began;
    isOver = true;
    assert.ok(status >= 200 && status < 500, `${body.name}: status ${status} ${text.slice(0, 200)}`);
    assert.ok(text.length < 65_536 || status === 200, `${body.name}: an answer of ${text.length}`);
    // Each item of a stream passes through the api on its own.
    const share = ["/items", "/chunks"].includes(body.path) ? 300 : 60;
    assert.ok(spent < share * parseMs, `${body.name}: ${spent} ms, parsing takes ${parseMs}`);
    assert.ok(most - kept < 300 * bodyBytes, `${body.name}: ${most - kept} bytes of memory`);
  }

  for (const create of hostileBodies) {
    it(`is answered with work in proportion to its bytes: ${create.name}`, async () => {
      for (let seed = 0; seed < 6; seed++) await keepsBudget(create(new Random(seed), bodyBytes));
    });
  }

  it("gets the same answer as the input of a task", async () => {
    for (let seed = 0; seed < 8; seed++) await keepsBudget(createTaskBody(new Random(seed), bodyBytes));
  });
});
