// W1, W2 and W3 with Moleculer and its defaults: moleculer-web and the entry service in one process, each leaf in a
// process of its own, the TCP transporter with JSON between them.   moleculer.ts <workload> <port>
import { loadPackage, takeRole, tellReady } from "./leaf-processes.ts";
import { entries, type Leaf, leaves } from "./leaves.ts";

/** Input of the entry. */
const bodies: Readonly<Record<string, object>> = {
  w1: { text: "string" },
  w2: { raw_input: "string" },
  w3: { data: "string" },
};

const { ServiceBroker } = loadPackage("moleculer");
const { workload, port, leaf, ports } = await takeRole();
const names = (leaves[workload] ?? []).map(({ service }) => service);
const urls = [...names, "gateway"].map((name, index) => `127.0.0.1:${ports[index]}/${name}`);
const broker = new ServiceBroker({
  nodeID: leaf?.service ?? "gateway",
  namespace: `bench-${port}`,
  logger: { type: "Console", options: { level: "warn" } },
  transporter: { type: "TCP", options: { udpDiscovery: false, urls, port: null } },
});

if (leaf === undefined) createGateway();
else createLeaf(leaf);
await broker.start();
if (leaf !== undefined) tellReady();

function createLeaf({ service, method, run }: Leaf): void {
  const params = service === "echo" ? { text: "string" } : {};
  broker.createService({
    name: service,
    actions: { [method]: { params, handler: (context: { params: object }) => run(context.params) } },
  });
}

function createGateway(): void {
  const run = entries[workload] as (typeof entries)[string];
  broker.createService({
    name: "entry",
    dependencies: names,
    actions: {
      run: {
        params: bodies[workload],
        handler: (context: any) =>
          run(({ service, method }, input) => context.call(`${service}.${method}`, input), context.params),
      },
      ready: () => ({ ok: true }),
    },
  });
  broker.createService({
    name: "api",
    mixins: [loadPackage("moleculer-web")],
    dependencies: ["entry"],
    settings: {
      port,
      ip: "127.0.0.1",
      routes: [
        {
          path: "/",
          bodyParsers: { json: true },
          aliases: { "POST /run": "entry.run", "POST /predict": "entry.run", "GET /readyz": "entry.ready" },
        },
      ],
    },
  });
}
