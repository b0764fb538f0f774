import type { HttpServer } from "../http/server.js";
import type { ReadContext } from "../options/app-file.js";
import type { ServerSettings } from "../options/settings.js";
import type { BindSocket } from "./bound-socket.js";
import type { OpenedApp } from "./start-app.js";

/** Longest time to answer the last requests on `adminPort`, when everything else has stopped. */
const closeLimitMs = 2_000;

/**
 * Server on `adminPort`, for an app that has one: probes, metrics and documents.
 *
 * It lives in the process of the supervisor. So there is one for the app, however many replicas answer the apis, and it
 * answers while the app starts, while it drains, and while every entry replica is stuck.
 */
export class AdminServer {
  /** Address of the apis, which the documents name; `""` until it is known. */
  apiUrl = "";
  readonly #settings: ServerSettings;
  readonly #bind: BindSocket | undefined;
  readonly #context: ReadContext | undefined;
  #http: HttpServer | undefined;
  #url: string | undefined;

  /**
   * @param bind    Returns a socket that outlives this server. Default: the server binds a socket of its own.
   * @param context Function by which the app finds out who is asking: the documents say where it reads that.
   */
  constructor(settings: ServerSettings, bind: BindSocket | undefined, context: ReadContext | undefined) {
    this.#settings = settings;
    this.#bind = bind;
    this.#context = context;
  }

  /** Its own address; `undefined` while it does not listen. */
  get url(): string | undefined {
    return this.#url;
  }

  /** Listens, if there is an `adminPort`. @throws {ServingError} See `listenFailure`. */
  async open({ runtime, readiness, metrics }: OpenedApp): Promise<void> {
    const { adminHost, adminPort } = this.#settings;
    if (adminPort === undefined) return;
    // Loaded here: where replicas answer HTTP, a process without this port needs no HTTP server.
    const { createAdminHttp } = await import("../runtime/runtime-http.js");
    const about = { apiUrl: () => this.apiUrl, documentedContext: this.#context };
    const http = await createAdminHttp(runtime, { readiness, metrics, ...about });
    this.#http = http;
    const socket = await this.#bind?.(adminHost, adminPort, "admin");
    const { url } = socket ?? (await http.listen());
    if (socket !== undefined) await http.listenOn(socket.handle);
    this.#url = url;
  }

  /** Answers what has come, and closes the port. */
  async close(): Promise<void> {
    await this.#http?.close(AbortSignal.timeout(closeLimitMs));
  }
}
