// W1 written by hand: a Fastify gateway, a Fastify echo in a second process on a Unix socket, and an undici pool
// between them; JSON schemas on both sides.   fastify-undici.ts <port>
import { fork } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Fastify from "fastify";
import { Pool } from "undici";

interface Message {
  readonly text: string;
}

const message = { type: "object", properties: { text: { type: "string" } }, required: ["text"] };
const schema = { body: message, response: { 200: message } };
const [, file = "", ...args] = process.argv;
if (args[0] === "echo") await serveEcho(args[1] as string);
else await serveGateway(Number(args[0]));

async function serveEcho(path: string): Promise<void> {
  const app = Fastify();
  app.post<{ Body: Message }>("/echo", { schema }, async ({ body }) => ({ text: body.text }));
  await app.listen({ path });
  process.send?.("ready");
  process.on("disconnect", () => process.exit());
}

async function serveGateway(port: number): Promise<void> {
  const path = join(tmpdir(), `ekiben-undici-${process.pid}.sock`);
  const child = fork(file, ["echo", path]);
  await once(child, "message");
  const pool = new Pool("http://echo", { socketPath: path, connections: 64 });
  const headers = { "content-type": "application/json" };
  const app = Fastify();
  app.post<{ Body: Message }>("/run", { schema }, async ({ body }) => {
    const sent = JSON.stringify({ text: body.text });
    const answer = await pool.request({ path: "/echo", method: "POST", headers, body: sent });
    const { text } = (await answer.body.json()) as Message;
    if (answer.statusCode !== 200) throw new Error(`the echo answered ${answer.statusCode}`);
    return { text };
  });
  app.get("/readyz", async () => ({ ok: true }));
  await app.listen({ port, host: "127.0.0.1" });
  process.on("SIGTERM", () => {
    rmSync(path, { force: true });
    child.kill();
    process.exit();
  });
}
