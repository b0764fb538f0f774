import type { Clock } from "../base/clock.js";
import type { Logger } from "../base/logger.js";
import { formatModel, hideQuery, type ModelDescriptor } from "../define/model.js";
import { toServingError } from "../failure/to-serving-error.js";
import type { Plan } from "../graph/plan.js";
import type { ModelProgress, ModelStore } from "../models/model-store.js";
import type { Readiness } from "../observe/readiness.js";
import type { OnAppEvent } from "../supervisor/replica-state.js";

/** Shortest time between two events, and between two log lines, about the fetch of one model. */
const eventMs = 200;
const logMs = 5_000;

interface AppModelsDeps {
  readonly log: Logger;
  readonly clock: Clock;
  readonly onEvent: OnAppEvent;
}

/** A model of one service of the app. */
interface OwnModel {
  readonly service: string;
  readonly model: ModelDescriptor;
}

/** Models of an app's services, fetched by the supervisor before the first service starts. */
export class AppModels {
  readonly #own: readonly OwnModel[];
  readonly #deps: AppModelsDeps;
  /** Models by service, with those of its inline callees, which have no line of their own in `/readyz`. */
  readonly #needed = new Map<string, readonly string[]>();
  /** Folder of models, as it was set. */
  readonly #folder: string;
  /** Handles the progress of the model that is being fetched. */
  #onProgress: (progress: ModelProgress) => void = () => {};
  /** State of the model that is being fetched, by service. */
  readonly #fetching = new Map<string, string>();

  constructor({ deployments, settings }: Plan, deps: AppModelsDeps) {
    const here = deployments.filter(({ residence }) => residence !== "elsewhere");
    this.#own = here.flatMap(({ descriptor: { name: service, models } }) =>
      models.map((model) => ({ service, model })),
    );
    this.#deps = deps;
    this.#folder = settings.server.models;
    for (const { descriptor, inlineCallees } of deployments) {
      const names = [descriptor.name, ...inlineCallees];
      const models = this.#own.filter(({ service }) => names.includes(service));
      this.#needed.set(descriptor.name, [...new Set(models.map(({ model }) => formatModel(model)))]);
    }
  }

  /** Fetches the models that are not there. @throws {ServingError} as `ModelStore.obtain`, with the service. */
  async fetch(): Promise<void> {
    if (this.#own.length === 0) return;
    const { log, clock } = this.#deps;
    // Loaded here: most apps have no models.
    const { findModelFolder, ModelStore } = await import("../models/model-store.js");
    const store = new ModelStore({
      folder: findModelFolder(this.#folder, process.env),
      clock,
      onProgress: (progress) => this.#onProgress(progress),
      onWait: (model) => log.info({ model }, "another process fetches a model; waiting for it"),
    });
    try {
      for (const own of this.#own) await this.#fetchOne(store, own);
    } finally {
      this.#fetching.clear();
      await store.tidy();
    }
  }

  /** Adds the models of each service to the readiness of the app. */
  addTo(readiness: Readiness): Readiness {
    if (this.#own.length === 0) return readiness;
    const services = readiness.services.map((state) => {
      const models = this.#needed.get(state.name) ?? [];
      const detail = this.#fetching.get(state.name);
      return { ...state, ...(models.length > 0 && { models }), ...(detail !== undefined && { detail }) };
    });
    return { ...readiness, services };
  }

  async #fetchOne(store: ModelStore, { service, model }: OwnModel): Promise<void> {
    const { log, clock, onEvent } = this.#deps;
    const place = (error: unknown): never => {
      throw toServingError(error, service, "");
    };
    if ((await store.find(model).catch(place)) !== undefined) return;
    const name = formatModel(model);
    const begun = clock.now();
    let [toldAt, loggedAt] = [Number.NEGATIVE_INFINITY, begun];
    this.#onProgress = (progress) => {
      const { doneBytes, totalBytes } = progress;
      const now = clock.now();
      if (now - toldAt < eventMs) return;
      toldAt = now;
      this.#fetching.set(service, `fetches the model ${formatProgress(progress)}`);
      onEvent({ kind: "fetching", service, model: name, doneBytes, totalBytes });
      if (now - loggedAt < logMs) return;
      loggedAt = now;
      log.info({ service, model: name, doneBytes, totalBytes }, "a model is being fetched");
    };
    log.info({ service, model: name, from: hideQuery(model.from), folder: store.folder }, "a model is fetched");
    await store.obtain(model, neverAborted).catch(place);
    this.#fetching.delete(service);
    const ms = Math.round(clock.now() - begun);
    onEvent({ kind: "fetched", service, model: name, ms });
    log.info({ service, model: name, ms }, "a model was fetched");
  }
}

/** The end of the process ends a fetch; the next start continues it. */
const neverAborted = new AbortController().signal;

/** `"ocr-det@1.2: 12.3 of 40.1 MB"`. */
export function formatProgress({ model, doneBytes, totalBytes }: ModelProgress): string {
  const mega = (bytes: number) => (bytes / 1e6).toFixed(1);
  return `${model}: ${totalBytes === undefined ? mega(doneBytes) : `${mega(doneBytes)} of ${mega(totalBytes)}`} MB`;
}
