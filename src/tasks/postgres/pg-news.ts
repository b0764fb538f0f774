// News of tasks between the processes that share a database.
//
// PN1  News is sent after the commit of its change, by a separate statement: transactions with NOTIFY wait for each
//      other.
// PN2  While such a statement runs, further news is gathered, one piece for each api. So the amount of news is bounded,
//      however fast tasks arrive.
// PN3  Listeners are told at least every `heartbeatMs` that everything may have changed. That covers lost news, such as
//      that of a process that ended between its commit and its news.
// PN4  A lost connection is opened again, after pauses that grow, while there are listeners. Then everything counts as
//      changed.
import { randomBytes } from "node:crypto";
import type { Client } from "pg";
import type { Clock, Timer } from "../../base/clock.js";
import type { Logger } from "../../base/logger.js";
import { GrowingPause } from "../../base/repeat-pace.js";
import type { TaskNews } from "../task-store.js";

const heartbeatMs = 10_000;
const firstPauseMs = 100;
const longestPauseMs = 10_000;

/** News as it is sent. `from` is the store that sent it, which has told its own listeners already. */
type SentNews = TaskNews & { readonly from: string };

/** Sends news to all other processes (PN1, PN2). */
export class NewsSender {
  readonly id: string = randomBytes(8).toString("hex");
  readonly #send: (news: string) => Promise<unknown>;
  #waiting = new Map<string, TaskNews>();
  #work: Promise<void> | undefined;

  /** @param send Sends a JSON array of texts, each a notification. */
  constructor(send: (news: string) => Promise<unknown>) {
    this.#send = send;
  }

  tell(news: TaskNews): void {
    const place = JSON.stringify([news.namespace, news.service, news.api]);
    const known = this.#waiting.get(place);
    const { id, ...all } = news;
    this.#waiting.set(place, known !== undefined && known.id !== id ? all : news);
    this.#work ??= this.#drain();
  }

  /** Sends the remaining news. */
  async close(): Promise<void> {
    await this.#work;
  }

  async #drain(): Promise<void> {
    while (this.#waiting.size > 0) {
      const sent = [...this.#waiting.values()].map((news): SentNews => ({ ...news, from: this.id }));
      this.#waiting = new Map();
      // Lost news is covered by the heartbeat (PN3).
      await this.#send(JSON.stringify(sent.map((news) => JSON.stringify(news)))).catch(() => {});
    }
    this.#work = undefined;
  }
}

interface NewsListenerOptions {
  /** Creates a connection without opening it. */
  readonly createClient: () => Client;
  /** Id of this store, whose own news is ignored. */
  readonly ownId: string;
  readonly tell: (news: TaskNews) => void;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Receives news on a connection of its own, while it is started (PN3, PN4). */
export class NewsListener {
  readonly #options: NewsListenerOptions;
  #client: Client | undefined;
  #timer: Timer | undefined;
  #isStarted = false;
  readonly #pause = new GrowingPause(firstPauseMs, longestPauseMs);
  #ending: Promise<unknown> = Promise.resolve();

  constructor(options: NewsListenerOptions) {
    this.#options = options;
  }

  start(): void {
    this.#isStarted = true;
    this.#pause.reset();
    void this.#connect();
  }

  stop(): void {
    this.#isStarted = false;
    this.#timer?.clear();
    if (this.#client !== undefined) this.#end(this.#client);
  }

  /** Resolves when every connection is closed. */
  async closed(): Promise<void> {
    await this.#ending;
  }

  async #connect(): Promise<void> {
    const client = this.#options.createClient();
    this.#client = client;
    // An error of a connection without a listener would end the process.
    client.on("error", (error) => this.#lose(client, error));
    client.on("end", () => this.#lose(client, undefined));
    client.on("notification", ({ payload }) => this.#read(payload));
    try {
      await client.connect();
      await client.query("LISTEN ekiben_tasks");
    } catch (error) {
      this.#lose(client, error);
      return;
    }
    if (client !== this.#client) return;
    this.#pause.reset();
    this.#options.tell({});
    this.#beat(client);
  }

  /** Checks the connection regularly, since it may be dead without an error. */
  #beat(client: Client): void {
    this.#timer = this.#options.clock.setTimer(() => {
      client.query("SELECT 1").then(
        () => {
          if (client !== this.#client) return;
          this.#options.tell({});
          this.#beat(client);
        },
        (error) => this.#lose(client, error),
      );
    }, heartbeatMs);
  }

  #lose(client: Client, error: unknown): void {
    if (client !== this.#client || !this.#isStarted) return;
    this.#end(client);
    this.#timer?.clear();
    const pauseMs = this.#pause.begin();
    this.#options.log.warn(
      { err: error, pauseMs },
      "the connection for task news was lost; connecting again after a pause",
    );
    this.#timer = this.#options.clock.setTimer(() => void this.#connect(), pauseMs);
  }

  #end(client: Client): void {
    this.#client = undefined;
    this.#ending = Promise.all([this.#ending, client.end().catch(() => {})]);
  }

  #read(payload: string | undefined): void {
    const news = parseNews(payload);
    if (news?.from === this.#options.ownId) return;
    const { from: _, ...told } = news ?? { from: "" };
    this.#options.tell(told);
  }
}

/** Parses news; `undefined` for a notification of another program. */
function parseNews(payload = ""): SentNews | undefined {
  try {
    const { id, namespace, service, api, from } = JSON.parse(payload);
    if ([service, api, from].some((text) => typeof text !== "string")) return undefined;
    // An older ekiben sends no namespace.
    const known = typeof namespace === "string" ? { namespace } : undefined;
    return { ...known, service, api, from, ...(typeof id === "string" && { id }) };
  } catch {
    return undefined;
  }
}
