// W1, W2 and W3 with NestJS: an HTTP gateway on Fastify in one process, each leaf a microservice in a process of its
// own, Nest's TCP transport between them. Decorators are called as the functions they are.   nest.ts <workload> <port>
import { loadPackage, takeRole, tellReady } from "./leaf-processes.ts";
import { entries, type Leaf, leaves } from "./leaves.ts";

loadPackage("reflect-metadata");
const { Body, Controller, Get, HttpCode, Inject, Module, Post } = loadPackage("@nestjs/common");
const { NestFactory } = loadPackage("@nestjs/core");
const { ClientsModule, MessagePattern, Transport } = loadPackage("@nestjs/microservices");
const { firstValueFrom } = loadPackage("rxjs");

const { workload, port, leaf, ports } = await takeRole();
const logger = ["error", "warn"];
if (leaf === undefined) await serveGateway();
else await serveLeaf(leaf);

async function serveLeaf(own: Leaf): Promise<void> {
  class LeafController {
    run(input: unknown) {
      return own.run(input);
    }
  }
  decorateMethod(LeafController, "run", MessagePattern(own.method));
  Controller()(LeafController);
  const options = locate(leaves[workload]?.indexOf(own) ?? 0);
  const app = await NestFactory.createMicroservice(createModule({ controllers: [LeafController] }), {
    ...{ transport: Transport.TCP, options, logger },
  });
  await app.listen();
  tellReady();
}

async function serveGateway(): Promise<void> {
  const own = leaves[workload] ?? [];
  const run = entries[workload] as (typeof entries)[string];
  class Gateway {
    readonly #clients: Map<Leaf, any>;

    constructor(...clients: unknown[]) {
      this.#clients = new Map(own.map((each, index) => [each, clients[index]]));
    }

    run(body: unknown) {
      return run((each, input) => firstValueFrom(this.#clients.get(each).send(each.method, input)), body);
    }

    ready() {
      return { ok: true };
    }
  }
  for (const [index, { service }] of own.entries()) Inject(service)(Gateway, undefined, index);
  for (const decorate of [Post(["run", "predict"]), HttpCode(200)]) decorateMethod(Gateway, "run", decorate);
  Body()(Gateway.prototype, "run", 0);
  decorateMethod(Gateway, "ready", Get("readyz"));
  Controller()(Gateway);

  const clients = own.map(({ service }, index) => ({
    name: service,
    transport: Transport.TCP,
    options: locate(index),
  }));
  const { FastifyAdapter } = loadPackage("@nestjs/platform-fastify");
  const module = createModule({ imports: [ClientsModule.register(clients)], controllers: [Gateway] });
  const app = await NestFactory.create(module, new FastifyAdapter(), { logger });
  await app.listen(port, "127.0.0.1");
}

function locate(index: number) {
  return { host: "127.0.0.1", port: ports[index] };
}

function createModule(parts: object): new () => object {
  class Root {}
  Module(parts)(Root);
  return Root;
}

function decorateMethod(target: new (...args: any[]) => object, name: string, decorate: MethodDecorator): void {
  const descriptor = Object.getOwnPropertyDescriptor(target.prototype, name) as PropertyDescriptor;
  decorate(target.prototype, name, descriptor);
}
