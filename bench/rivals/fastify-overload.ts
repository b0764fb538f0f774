// The workload `overload` by hand: a Fastify gateway, two Fastify models in processes of their own on Unix sockets, and
// an undici pool to each, used in turn.   fastify-overload.ts <port>
import { fork } from "node:child_process";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import Fastify from "fastify";
import { Pool } from "undici";
import { burn } from "../workloads/burn.ts";

const input = { type: "object", properties: { x: { type: "number" } }, required: ["x"] };
const output = { type: "object", properties: { y: { type: "number" } }, required: ["y"] };
const schema = { body: input, response: { 200: output } };
type Body = { readonly x: number };

const [, file = "", ...args] = process.argv;
if (args[0] === "model") await serveModel(args[1] as string);
else await serveGateway(Number(args[0]));

async function serveModel(path: string): Promise<void> {
  const app = Fastify();
  app.post<{ Body: Body }>("/predict", { schema }, async ({ body }) => ({ y: burn(body.x) }));
  await app.listen({ path });
  process.send?.("ready");
  process.on("disconnect", () => process.exit());
}

async function serveGateway(port: number): Promise<void> {
  const paths = [0, 1].map((i) => join(tmpdir(), `ekiben-overload-${process.pid}-${i}.sock`));
  const children = paths.map((path) => fork(file, ["model", path]));
  await Promise.all(children.map((child) => once(child, "message")));
  const pools = paths.map((socketPath) => new Pool("http://model", { socketPath, connections: 64 }));
  const headers = { "content-type": "application/json" };
  let turn = 0;
  const app = Fastify();
  app.post<{ Body: Body }>("/run", { schema }, async ({ body }) => {
    const pool = pools[turn++ % pools.length] as Pool;
    const answer = await pool.request({ path: "/predict", method: "POST", headers, body: JSON.stringify(body) });
    return await answer.body.json();
  });
  app.get("/readyz", async () => ({ ok: true }));
  await app.listen({ port, host: "127.0.0.1" });
  process.on("SIGTERM", () => {
    for (const path of paths) rmSync(path, { force: true });
    for (const child of children) child.kill();
    process.exit();
  });
}
