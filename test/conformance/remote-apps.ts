import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { AppFile, Logger } from "ekiben";
import type { ComposedApp } from "ekiben/testing";
import { Front } from "./services/front.js";

// Each service of the graph in an app of its own, called over TLS on a loopback address. The parts of ekiben are those
// that the service classes are made of: the compiled ones.

const load = <T>(path: string): Promise<T> => import(new URL(`../../dist/${path}`, import.meta.url).href) as Promise<T>;
type PlanApp = typeof import("../../src/app/plan-app.js");
type StartApp = typeof import("../../src/app/start-app.js");

interface RemoteAppsDeps {
  /** Folder of key and data. */
  readonly folder: string;
  readonly options: AppFile;
  readonly log: Logger;
}

/** Apps that each run one service. */
export class RemoteApps {
  readonly options: AppFile;
  readonly #apps = new Map<string, Awaited<ReturnType<StartApp["startApp"]>>>();

  private constructor(options: AppFile) {
    this.options = options;
  }

  /** Starts one app for each service but the entry, callees first. */
  static async start({ folder, options, log }: RemoteAppsDeps): Promise<RemoteApps> {
    const { planApp } = await load<PlanApp>("app/plan-app.js");
    const { startApp } = await load<StartApp>("app/start-app.js");
    const edgeKeyFile = join(folder, "edge.key");
    writeFileSync(edgeKeyFile, randomBytes(32).toString("base64"), { mode: 0o600 });
    const services: Record<string, object> = {};
    const apps = new RemoteApps({ ...options, edgeKeyFile, services });
    const { graph } = planApp(Front, { flags: {}, env: {} });
    const from = new URL("./services/front.ts", import.meta.url);
    for (const service of graph.services.keys()) {
      if (service === graph.entry) continue;
      const value = { ...apps.options, data: folder, placement: "process", service, listen: "127.0.0.1:0" };
      const plan = planApp(Front, { flags: {}, env: {}, appFile: { path: "test", value } });
      const app = await startApp(plan, {
        locateEntry: async () => ({ file: from.pathname, service: graph.entry, earlier: [] }),
        ...{ log, appFolder: folder, isCalled: true },
      });
      apps.#apps.set(service, app);
      const { url } = (await app.edge?.listen({ host: "127.0.0.1", port: 0 })) ?? { url: "" };
      services[service] = { ...options.services?.[service], at: url };
    }
    return apps;
  }

  /** Gives a calling app a `kill` that reaches the replicas of these apps. */
  extend(app: ComposedApp<Front>): ComposedApp<Front> {
    const kill: ComposedApp<Front>["kill"] = async ({ name }, index = 0) => {
      await this.#apps.get(name)?.replaceReplica(name, index);
    };
    return { ...app, kill };
  }

  /** Stops all apps, callers first. */
  async stop(): Promise<void> {
    for (const app of [...this.#apps.values()].reverse()) await app.stop();
  }
}
