import { silentLogger } from "../../src/base/logger.ts";
import { openTaskStore } from "../../src/tasks/open-store.ts";

export type OpenStore = Awaited<ReturnType<typeof openTaskStore>>;

/** Values of the options `tasks.store` and `data`. */
export interface StoreChoice {
  readonly store: string;
  readonly data: string;
}

export function openStore({ store, data }: StoreChoice): Promise<OpenStore> {
  const settings = {
    store,
    data,
    namespace: "bench",
    maxConnections: 4,
    keepHeaders: [],
    keyScope: [],
    retentionMs: 0,
    schedules: false,
    leaseMs: 45_000,
  };
  return openTaskStore({ settings, appFolder: data, log: silentLogger });
}
