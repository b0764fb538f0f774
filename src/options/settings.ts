import type { OptionRow } from "./option.js";
import type { apiOptions, appOptions, batchOptions, cacheOptions, serviceOptions } from "./options.js";

/** Options of a table once decided: complete, in fixed units, without alternatives. */
export type SettingsOf<Table> = {
  readonly [K in keyof Table]: Table[K] extends OptionRow<any, any, infer Setting>
    ? Setting
    : { readonly [F in keyof Table[K]]: Table[K][F] extends OptionRow<any, any, infer Setting> ? Setting : never };
};

/** Settings an app runs with once every option is decided. */
export interface AppSettings {
  readonly server: ServerSettings;
  readonly gpus: SettingsOf<typeof appOptions>["gpus"];
  readonly tasks: TaskSettings;
  readonly services: ReadonlyMap<string, ServiceSettings>;
}

/** Settings of the HTTP server and the process around it. */
export interface ServerSettings extends Omit<SettingsOf<typeof appOptions>, "gpus" | "data" | "tasks" | "http"> {
  readonly http: HttpSettings;
}

/** Settings of tasks. `store` may hold a password: never show it. `namespace` is `""` until the app's own is known. */
export interface TaskSettings extends SettingsOf<typeof appOptions.tasks> {
  /** Path of the data folder as it was given; `""` for `.ekiben` beside the app. */
  readonly data: string;
}

/** Settings of the HTTP server alone. */
export interface HttpSettings extends SettingsOf<typeof appOptions.http> {
  /** Sources of the time limits that failures name, as `OptionReport.where` names them; absent while undecided. */
  readonly limitsFrom?: { readonly bodyTimeoutMs: string; readonly streamIdleMs: string };
}

/** Settings of one service. `replicas.min` equals `replicas.max` for a fixed number. */
export interface ServiceSettings extends Omit<SettingsOf<typeof serviceOptions>, "name" | "resources"> {
  /** Source that set `startTimeoutMs`, as `OptionReport.where` names it; absent while undecided. */
  readonly startTimeoutFrom?: string;
  readonly resources: Omit<SettingsOf<typeof serviceOptions.resources>, "memory"> & {
    /** `Infinity` for no limit. */
    readonly memoryBytes: number;
  };
  readonly apis: ReadonlyMap<string, ApiSettings>;
}

/** Settings of the checks that find replicas whose event loop does not run. */
export interface LivenessSettings extends SettingsOf<typeof serviceOptions.liveness> {}

/** Settings of restarts of replicas that ended. */
export interface RestartSettings extends SettingsOf<typeof serviceOptions.restart> {}

/** Limits of one api's lane in one replica. `timeoutMs` is `Infinity` for a stream without a limit. */
export interface ApiSettings extends SettingsOf<typeof apiOptions> {
  /** Source that set `timeoutMs`, as `OptionReport.where` names it; absent while undecided. */
  readonly timeoutFrom?: string;
  /** Absent for an api whose contract has no `batch`. */
  readonly batch?: BatchSettings;
  /** Absent for an api whose contract has no `cache`. */
  readonly cache?: CacheSettings;
}

/** Settings of a cache. */
export interface CacheSettings extends SettingsOf<typeof cacheOptions.cache> {}

/** Settings of batching. `targetLatencyMs` is `Infinity` for none; `windowMs` is `undefined` for as long as it pays. */
export interface BatchSettings extends SettingsOf<typeof batchOptions.batch> {}
