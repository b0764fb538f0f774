// The limit of W1 on Node: a Fastify gateway without its own validation, AsyncLocalStorage, zod checks of input and
// output on both sides, and bare frames over one Unix socket to an echo process. No lanes, metrics or retries.
// floor.ts <port>
import { AsyncLocalStorage } from "node:async_hooks";
import { fork } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Fastify from "fastify";
import { z } from "zod";

type Message = z.infer<typeof Message>;
const Message = z.object({ text: z.string() });

interface Call {
  readonly api: string;
  readonly deadline: number;
  readonly input: Message;
}

const prefixBytes = 9;
const context = new AsyncLocalStorage<{ readonly deadline: number }>();
const [, file = "", ...args] = process.argv;
if (args[0] === "echo") serveEcho(args[1] as string);
else await serveGateway(Number(args[0]));

/** Frames of u32 length, u32 id, u8 kind and JSON; each is written at once. */
function openFrames(socket: Socket, onFrame: (id: number, body: string) => void): (id: number, body: string) => void {
  let rest: Buffer = Buffer.alloc(0);
  socket.on("data", (chunk: Buffer) => {
    rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    while (rest.length - at >= prefixBytes) {
      const end = at + 4 + rest.readUInt32LE(at);
      if (rest.length < end) break;
      onFrame(rest.readUInt32LE(at + 4), rest.toString("utf8", at + prefixBytes, end));
      at = end;
    }
    rest = rest.subarray(at);
  });
  return (id, body) => {
    const length = Buffer.byteLength(body);
    const frame = Buffer.allocUnsafe(prefixBytes + length);
    frame.writeUInt32LE(prefixBytes - 4 + length, 0);
    frame.writeUInt32LE(id, 4);
    frame[8] = 0;
    frame.write(body, prefixBytes);
    socket.write(frame);
  };
}

function serveEcho(path: string): void {
  const echo = async ({ text }: Message): Promise<Message> => ({ text });
  const server = createServer((socket) => {
    const send = openFrames(socket, (id, body) => {
      const call = JSON.parse(body) as Call;
      void context.run(call, async () => {
        send(id, JSON.stringify(Message.parse(await echo(Message.parse(call.input)))));
      });
    });
  });
  server.listen(path, () => process.send?.("ready"));
  process.on("disconnect", () => process.exit());
}

async function serveGateway(port: number): Promise<void> {
  const path = join(tmpdir(), `ekiben-floor-${process.pid}.sock`);
  const child = fork(file, ["echo", path]);
  await once(child, "message");
  const socket = connect(path);
  await once(socket, "connect");
  const waiting = new Map<number, (answer: unknown) => void>();
  let next = 1;
  const send = openFrames(socket, (id, body) => {
    waiting.get(id)?.(JSON.parse(body));
    waiting.delete(id);
  });
  const callEcho = (input: Message) =>
    new Promise<unknown>((answer) => {
      waiting.set(next, answer);
      send(next++, JSON.stringify({ api: "echo", deadline: context.getStore()?.deadline, input }));
    });

  const app = Fastify();
  app.removeAllContentTypeParsers();
  app.addContentTypeParser("application/json", { parseAs: "buffer" }, (_, body, done) => {
    try {
      done(null, JSON.parse(body.toString()));
    } catch (error) {
      done(error as Error);
    }
  });
  app.post("/run", (request, reply) => {
    void context.run({ deadline: Date.now() + 60_000 }, async () => {
      const answer = Message.parse(await callEcho(Message.parse(request.body)));
      reply.header("content-type", "application/json; charset=utf-8").send(JSON.stringify(answer));
    });
  });
  app.get("/readyz", async () => ({ ok: true }));
  await app.listen({ port, host: "127.0.0.1" });
  process.on("SIGTERM", () => {
    rmSync(path, { force: true });
    child.kill();
    process.exit();
  });
}
