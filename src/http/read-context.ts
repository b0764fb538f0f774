import { isPromiseLike } from "../base/promised-input.js";
import { type Expiring, notInWheel } from "../call/deadline-wheel.js";
import { fail } from "../failure/failures.js";
import type { ServingError } from "../failure/serving-error.js";
import { toServingError } from "../failure/to-serving-error.js";
import type { ContextRequest, ReadContext } from "../options/app-file.js";
import type { Exchange, Followed } from "./exchange.js";
import type { HttpState } from "./http-state.js";
import { type FailedApi, writeFailure } from "./write-failure.js";

/** Api that a request is for. */
interface AskedApi extends FailedApi {
  readonly path: string;
}

/**
 * Asks the app's `context` who is asking, then calls `run`. Without `context` it calls `run` at once.
 *
 * A failure of `context` is the answer, and `run` is not called; nor is it when the client has left. Never throws what
 * `context` throws.
 *
 * @param run Must not throw after `context` has taken its time.
 */
export function readContext(http: HttpState, exchange: Exchange, api: AskedApi, run: () => void): void {
  if (http.context === undefined) run();
  else new ContextReading(http, exchange, { api, read: http.context, run }).start();
}

interface ContextQuestion {
  readonly api: AskedApi;
  readonly read: ReadContext;
  readonly run: () => void;
}

/** One run of the app's `context`. Its time is limited, and it ends when the client leaves. */
class ContextReading implements Expiring, Followed {
  readonly expiresAt: number;
  wheelPlace = notInWheel;
  readonly #http: HttpState;
  readonly #exchange: Exchange;
  readonly #question: ContextQuestion;
  #controller: AbortController | undefined;
  #reason: ServingError | undefined;
  #isOver = false;

  constructor(http: HttpState, exchange: Exchange, question: ContextQuestion) {
    this.#http = http;
    this.#exchange = exchange;
    this.#question = question;
    this.expiresAt = http.time.clock.now() + http.settings.contextTimeoutMs;
  }

  get pending(): readonly string[] {
    return ["context of the app file"];
  }

  get signal(): AbortSignal {
    if (this.#controller === undefined) {
      this.#controller = new AbortController();
      if (this.#reason !== undefined) this.#controller.abort(this.#reason);
    }
    return this.#controller.signal;
  }

  start(): void {
    let value: unknown;
    let isLate: boolean;
    try {
      value = this.#question.read(this.#describe());
      isLate = isPromiseLike(value);
    } catch (error) {
      this.#refuse(error);
      return;
    }
    if (!isLate) {
      this.#accept(value);
      return;
    }
    this.#http.time.wheel.add(this);
    this.#exchange.follow(this);
    Promise.resolve(value).then(
      (settled) => this.#accept(settled),
      (error: unknown) => this.#refuse(error),
    );
  }

  setWheelPlace(place: number): void {
    this.wheelPlace = place;
  }

  /** Called by the wheel when the time is over. */
  expire(): void {
    this.cancel(fail("context_timeout", { timeoutMs: this.#http.settings.contextTimeoutMs }));
  }

  cancel(reason: ServingError): void {
    if (this.#isOver) return;
    this.#refuse(reason);
    this.#reason = reason;
    this.#controller?.abort(reason);
  }

  #describe(): ContextRequest {
    const { context, reply } = this.#exchange;
    const { method, url, ip } = reply.request;
    const { name, path } = this.#question.api;
    const reading = this;
    return Object.freeze({
      ...{ method, url, ip, api: name, route: path, headers: context.headers, requestId: context.id },
      get signal() {
        return reading.signal;
      },
    });
  }

  #accept(value: unknown): void {
    if (this.#isOver) return;
    try {
      this.#exchange.context.setAppContext(value);
    } catch (error) {
      this.#refuse(error);
      return;
    }
    this.#end();
    this.#question.run();
  }

  #refuse(error: unknown): void {
    if (this.#isOver) return;
    this.#end();
    const { api } = this.#question;
    const failure = toServingError(error, api.service, api.name);
    const { context, reply } = this.#exchange;
    if (failure.cause !== undefined && failure.id !== "unhandled_error") {
      const fields = {
        err: failure.cause,
        service: api.service,
        api: api.name,
        requestId: context.id,
        failure: failure.id,
      };
      this.#http.log.warn(fields, `context of the app file failed: ${failure.message}`);
    }
    writeFailure(this.#http, reply, failure, api);
  }

  #end(): void {
    this.#isOver = true;
    if (this.wheelPlace !== notInWheel) this.#http.time.wheel.remove(this);
  }
}
