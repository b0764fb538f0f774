// Services that may share processes: Front calls Model, which calls Words; each reports its process.
import { existsSync } from "node:fs";
import { api, depends, Service } from "ekiben";
import { z } from "zod";
import { Gate } from "./machine.mjs";

const Place = z.object({ process: z.number(), replica: z.string() });
const text = { input: z.string(), output: z.string() };
const held = [];

export class Words extends Service({ liveness: { intervalMs: 50, suspendAfterMs: 400, replaceAfterMs: 1500 } }) {
  gate = depends(Gate);

  start({ replica, log }) {
    this.replica = replica.id;
    log.info({}, "begins");
  }
  where = api({ output: Place }, () => ({ process: process.pid, replica: this.replica }));
  hold = api(text, (name) => this.gate.wait(name));
}

/** Blocks the event loop, as loading a model does. */
function block(ms) {
  for (const end = performance.now() + ms; performance.now() < end; );
}

/** Fails its next start while the file named by BROKEN exists; LOAD_MS makes it load a model. */
export class Model extends Service({
  liveness: { intervalMs: 50, suspendAfterMs: 400, replaceAfterMs: 1500 },
  restart: { backoffMs: 1, maxBackoffMs: 100, giveUpAfter: 2, slowBackoffMs: 100 },
}) {
  words = depends(Words);

  start({ replica, log }) {
    if (existsSync(process.env["BROKEN"] ?? "")) throw new Error("the weights are gone");
    block(Number(process.env["LOAD_MS"] ?? 0));
    this.replica = replica.id;
    log.info({}, "begins");
  }
  where = api({ output: Place }, () => ({ process: process.pid, replica: this.replica }));
  both = api({ output: z.object({ model: Place, words: Place }) }, async () => ({
    model: { process: process.pid, replica: this.replica },
    words: await this.words.where(),
  }));
  hold = api(text, (name) => this.words.hold(name));
  end = api(text, () => process.kill(process.pid, "SIGKILL"));
  block = api(text, () => {
    for (;;);
  });
  fill = api({ input: z.number(), output: z.number() }, (megabytes) => {
    for (let i = 0; i < megabytes; i++) held.push(Buffer.alloc(1024 ** 2, 1));
    return held.length;
  });
}

export class Front extends Service() {
  model = depends(Model);
  words = depends(Words);
  gate = depends(Gate);

  where = api({ output: z.object({ front: z.number(), model: Place, words: Place }) }, async () => {
    const [model, words] = await Promise.all([this.model.where(), this.words.where()]);
    return { front: process.pid, model, words };
  });
  whereWords = api({ output: Place }, () => this.words.where());
  both = api({ output: z.object({ model: Place, words: Place }) }, () => this.model.both());
  hold = api(text, (name) => this.model.hold(name));
  holdWords = api(text, (name) => this.words.hold(name));
  reached = api(text, (name) => this.gate.reached(name));
  open = api(text, (name) => this.gate.open(name));
  end = api(text, (value) => this.model.end(value));
  block = api(text, (value) => this.model.block(value));
  fill = api({ input: z.number(), output: z.number() }, (megabytes) => this.model.fill(megabytes));
}
