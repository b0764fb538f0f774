import { dirname, resolve } from "node:path";
import { silentLogger } from "../base/logger.js";
import type { Finding } from "../graph/check-graph.js";
import { nameApp } from "../load/name-app.js";
import { hasTaskStore, openTaskStore } from "../tasks/open-store.js";
import type { LoadedApp } from "./load-app.js";

/**
 * Unfinished tasks that nobody would run, as far as that can be seen from here: a store is asked where there is one, and what stands in
 * the way of an answer is no fault of the app.
 */
export async function checkTasks({ graph, file, options }: LoadedApp): Promise<Finding[]> {
  const settings = options.settings.tasks;
  const place = { settings, appFolder: dirname(resolve(file)), log: silentLogger };
  if (options.faults.length > 0 || !hasTaskStore(place)) return [];
  const own = settings.namespace || nameApp(resolve(file), graph.entry);
  const isTask = (service: string, api: string) => graph.services.get(service)?.apis.get(api)?.kind === "task";
  try {
    const store = await openTaskStore(place);
    const open = await store
      .listOpen(({ namespace, service, api }) => namespace !== own || isTask(service, api))
      .finally(() => store.close());
    return open.map(({ service, api, waiting, running }) => ({
      ...{ kind: "warning", id: "orphaned_tasks", service, field: api },
      message: `${waiting + running} unfinished tasks were handed in to ${service}.${api}, which the app does not have: nobody runs them`,
      fix: `Move them to what it is called now, \`ekiben tasks move ${service}.${api} <Service>.<task>\`, or cancel them.`,
    }));
  } catch (error) {
    const message = `the task store could not be asked for tasks that nobody would run: ${(error as Error).message}`;
    return [{ ...{ kind: "note", id: "tasks_unchecked", service: "", field: "" }, message, fix: "" }];
  }
}
