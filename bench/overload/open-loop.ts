// Load generator in a process of its own: requests are sent when they are due, whatever happened to earlier ones.
// open-loop.ts '<JSON of OpenLoad>'      prints one line of JSON: an OpenResult
import { connect, type Socket } from "node:net";
import { quantile } from "../measure.ts";

/** Load to send: POST, JSON. */
export interface OpenLoad {
  readonly port: number;
  readonly path: string;
  readonly body: string;
  readonly header?: string | undefined;
  readonly perSecond: number;
  readonly seconds: number;
  /** True for random intervals, as from many clients; false for even ones. */
  readonly isRandom: boolean;
  /** Time after which a client gives up and closes its connection, measured from when its request was due. */
  readonly patienceMs: number;
}

/** Results. Times in milliseconds from when a request was due. */
export interface OpenResult {
  readonly sent: number;
  /** Number of answers with 200 in time. */
  readonly good: number;
  /** Number of those before the last request was due: the sustained rate, without what a queue delivers at the end. */
  readonly keptUp: number;
  /** Number of answers with 429 or 503. */
  readonly refused: number;
  /** Number of requests whose clients left. */
  readonly left: number;
  /** Number of other answers and failed connections. */
  readonly failed: number;
  readonly p50: number;
  readonly p99: number;
  readonly refusedP50: number;
  /** Delay of sending: more than a few milliseconds means that the generator lacked CPU time. */
  readonly lateP99: number;
}

interface Sent {
  readonly dueAt: number;
  isOver: boolean;
}

interface UnderWay {
  readonly sent: Sent;
  readonly connection: Connection;
}

class Generator {
  readonly #load: OpenLoad;
  readonly #message: string;
  readonly #idle: Connection[] = [];
  readonly #good: number[] = [];
  readonly #refused: number[] = [];
  readonly #late: number[] = [];
  /** Requests in flight, in the order in which their clients leave. */
  readonly #open: UnderWay[] = [];
  #firstOpen = 0;
  #keptUp = 0;
  #lastDueAt = 0;
  #left = 0;
  #failed = 0;
  #underWay = 0;

  constructor(load: OpenLoad) {
    this.#load = load;
    const { path, body, header } = load;
    const own = header === undefined ? "" : `${header}\r\n`;
    this.#message =
      `POST ${path} HTTP/1.1\r\nhost: 127.0.0.1\r\n${own}content-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
  }

  run(): Promise<OpenResult> {
    const offsets = planOffsets(this.#load);
    const begun = performance.now() + 50;
    this.#lastDueAt = begun + (offsets.at(-1) ?? 0);
    let next = 0;
    return new Promise((resolve) => {
      const tick = () => {
        const now = performance.now();
        this.#goAway(now);
        for (; next < offsets.length && begun + (offsets[next] as number) <= now; next++) {
          this.#send(begun + (offsets[next] as number), now);
        }
        if (next < offsets.length || this.#underWay > 0) setTimeout(tick, 1);
        else resolve(this.#describe(offsets.length));
      };
      tick();
    });
  }

  answered(sent: Sent, status: number, connection: Connection): void {
    const now = performance.now();
    const ms = now - sent.dueAt;
    this.#end(sent);
    this.#idle.push(connection);
    if (status === 200) {
      this.#good.push(ms);
      if (now <= this.#lastDueAt) this.#keptUp++;
    } else if (status === 429 || status === 503) this.#refused.push(ms);
    else this.#failed++;
  }

  broken(sent: Sent | undefined, connection: Connection): void {
    const at = this.#idle.indexOf(connection);
    if (at >= 0) this.#idle.splice(at, 1);
    if (sent === undefined || sent.isOver) return;
    this.#end(sent);
    this.#failed++;
  }

  #send(dueAt: number, now: number): void {
    this.#late.push(now - dueAt);
    const sent = { dueAt, isOver: false };
    const connection = this.#idle.pop() ?? new Connection(this.#load.port, this);
    this.#underWay++;
    this.#open.push({ sent, connection });
    connection.send(sent, this.#message);
  }

  #goAway(now: number): void {
    for (; this.#firstOpen < this.#open.length; this.#firstOpen++) {
      const { sent, connection } = this.#open[this.#firstOpen] as UnderWay;
      if (sent.isOver) continue;
      if (now - sent.dueAt < this.#load.patienceMs) return;
      this.#end(sent);
      this.#left++;
      connection.close();
    }
  }

  #end(sent: Sent): void {
    sent.isOver = true;
    this.#underWay--;
  }

  #describe(count: number): OpenResult {
    return {
      ...{
        sent: count,
        good: this.#good.length,
        keptUp: this.#keptUp,
        refused: this.#refused.length,
        left: this.#left,
      },
      ...{ failed: this.#failed, p50: quantile(this.#good, 0.5), p99: quantile(this.#good, 0.99) },
      ...{ refusedP50: quantile(this.#refused, 0.5), lateP99: quantile(this.#late, 0.99) },
    };
  }
}

/** Connection with one request at a time. */
class Connection {
  readonly #socket: Socket;
  readonly #generator: Generator;
  #sent: Sent | undefined;
  #text = "";

  constructor(port: number, generator: Generator) {
    this.#generator = generator;
    this.#socket = connect({ port, host: "127.0.0.1", noDelay: true });
    this.#socket.setEncoding("latin1");
    this.#socket.on("data", (text) => this.#read(String(text)));
    this.#socket.on("error", () => {});
    this.#socket.on("close", () => this.#generator.broken(this.#sent, this));
  }

  send(sent: Sent, message: string): void {
    this.#sent = sent;
    this.#socket.write(message);
  }

  close(): void {
    this.#socket.destroy();
  }

  #read(text: string): void {
    this.#text += text;
    const end = this.#text.indexOf("\r\n\r\n");
    if (end < 0) return;
    const length = Number(/\r\ncontent-length: *(\d+)/i.exec(this.#text)?.[1] ?? 0);
    if (this.#text.length < end + 4 + length) return;
    const status = Number(this.#text.slice(9, 12));
    this.#text = "";
    const sent = this.#sent as Sent;
    this.#sent = undefined;
    if (!sent.isOver) this.#generator.answered(sent, status, this);
  }
}

/** Times at which requests are due, in milliseconds; the same for each server. */
function planOffsets({ perSecond, seconds, isRandom }: OpenLoad): number[] {
  const offsets: number[] = [];
  let seed = 1;
  const draw = () => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return (seed + 0.5) / 2 ** 32;
  };
  const gapMs = 1000 / perSecond;
  for (let at = 0; at < seconds * 1000; at += isRandom ? -Math.log(draw()) * gapMs : gapMs) offsets.push(at);
  return offsets;
}

const [, , text] = process.argv;
if (text !== undefined) {
  const result = await new Generator(JSON.parse(text) as OpenLoad).run();
  process.stdout.write(`${JSON.stringify(result)}\n`, () => process.exit());
}
