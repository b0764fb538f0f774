// One JSON echo server of the edge bench, as a child process; reports its CPU time on request.   edge-server.ts <kind>
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { fileURLToPath } from "node:url";
import { api, Service, serve } from "ekiben";
import Fastify from "fastify";
import { z } from "zod";

const Message = z.object({ text: z.string() });

class Echo extends Service() {
  echo = api({ input: Message, output: Message }, (message) => message);
}

async function serveEkiben(accessLog: boolean, certificate: object = {}): Promise<number> {
  const options = { placement: "inline", logLevel: "info", http: { accessLog, ...certificate } } as const;
  return (await serve(Echo, { port: 0, host: "127.0.0.1", options })).port;
}

async function serveFastify(logger: boolean, check: (body: unknown) => unknown): Promise<number> {
  const fastify = Fastify({ logger });
  fastify.post("/echo", (request, reply) => reply.send(check(request.body)));
  await fastify.listen({ port: 0, host: "127.0.0.1" });
  return (fastify.server.address() as AddressInfo).port;
}

async function serveNodeHttp(): Promise<number> {
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const text = JSON.stringify(JSON.parse(Buffer.concat(chunks).toString()));
      response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(text) });
      response.end(text);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

const fixture = (name: string) => fileURLToPath(import.meta.resolve(`../test/fixtures/tls/${name}`));

const kinds: Record<string, () => Promise<number>> = {
  "node-http": serveNodeHttp,
  fastify: () => serveFastify(false, (body) => body),
  "fastify-zod": () => serveFastify(false, (body) => Message.parse(Message.parse(body))),
  "fastify-log": () => serveFastify(true, (body) => body),
  ekiben: () => serveEkiben(false),
  "ekiben-log": () => serveEkiben(true),
  "ekiben-tls": () => serveEkiben(false, { tlsCert: fixture("first.crt"), tlsKey: fixture("first.key") }),
};

const start = kinds[process.argv[2] ?? ""];
if (start === undefined) throw new Error(`there is no server ${process.argv[2]}`);
process.on("message", () => {
  const { user, system } = process.cpuUsage();
  process.send?.({ cpuMicros: user + system });
});
process.on("disconnect", () => process.exit());
process.send?.({ port: await start() });
