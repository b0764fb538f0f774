import { tmpdir } from "node:os";
import { join } from "node:path";
import { planApp } from "../../src/app/plan-app.js";
import type { RuntimeOrder } from "../../src/placement/control.js";

/** File of the services Plain and Held. */
export const servicesFile = join(import.meta.dirname, "services.mjs");
const { Plain } = await import(servicesFile);

/** Creates the order for a runtime that has services of this file and meets no other runtime. */
export function createOrder(
  names: RuntimeOrder["names"],
  services: readonly string[],
  file: string = servicesFile,
): RuntimeOrder {
  return {
    names,
    services,
    keptServices: [],
    life: "life",
    endedLives: [],
    run: { id: "run", pid: process.pid, session: "run" },
    entries: [{ file, service: "Plain", earlier: [] }],
    settings: planApp(Plain, { flags: {}, env: {} }).settings,
    appFolder: tmpdir(),
    socketFolder: tmpdir(),
    slabFolder: undefined,
    diskFolder: undefined,
    logsTo: "supervisor",
    sharesStdout: false,
    takesFaults: false,
    appFile: undefined,
    inspect: undefined,
  };
}
