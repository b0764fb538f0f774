import { nameOption } from "../call/name-option.js";
import type { NameLimit } from "../call/passed-deadline.js";
import { operationTimeoutMs, type TaskOperation, waitsForEnd } from "../call/task-operation.js";
import type { ApiSettings } from "../options/settings.js";

/** What may have bounded a call of one route. */
export interface RouteLimits {
  readonly service: string;
  readonly api: string;
  readonly settings: ApiSettings;
  /** Of a task: what is asked about it. */
  readonly operation: TaskOperation | "call" | undefined;
  /** `Infinity` where the dependency has none. */
  readonly edgeTimeoutMs: number;
}

/** Deadlines are sums, of which the last digits may differ. */
const nearMs = 0.001;
const isNear = (a: number, b: number): boolean => Math.abs(a - b) < nearMs;

/** Tells afterwards, from its length alone, which of the limits that a call may have had it was. */
export function createLimitNames({ service, api, settings, operation, edgeTimeoutMs }: RouteLimits): NameLimit {
  return ({ caller }, timeoutMs) => {
    const isOfApi = operation === undefined || waitsForEnd(operation);
    if (isOfApi && isNear(timeoutMs, settings.timeoutMs)) return nameOption(service, api, settings.timeoutFrom);
    if (isNear(timeoutMs, edgeTimeoutMs)) return `timeoutMs of depends(${service}) in ${caller.service}`;
    if (!isOfApi && isNear(timeoutMs, operationTimeoutMs)) return "what ekiben allows for it";
    if (caller.service === "http") return "the client's timeoutMs, sent as ekiben-timeout-ms";
    const place = caller.api === "" ? caller.service : `${caller.service}.${caller.api}`;
    return `timeoutMs of the call${place === "local" ? "" : ` from ${place}`} to ${service}.${api}`;
  };
}
