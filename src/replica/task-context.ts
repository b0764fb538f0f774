import type { Caller } from "../call/call.js";
import { RequestContext } from "../call/request-context.js";

/** Whose request a task belongs to, as its api sees it whenever it runs. */
export interface TaskContext {
  readonly caller: Caller;
  readonly request: RequestContext;
}

/** The context as it is kept beside the task's input. */
export const formatTaskContext = ({ caller, request }: TaskContext): string =>
  JSON.stringify([caller.service, caller.api, request.wireText]);

/** What can't be read is taken for a request of nobody's without headers, as `RequestContext` does. */
export function parseTaskContext(text: string): TaskContext {
  const [service, api, request] = parseTexts(text);
  return {
    caller: { service: service ?? "", api: api ?? "" },
    request: request === undefined ? new RequestContext() : RequestContext.fromWire(request),
  };
}

function parseTexts(text: string): readonly (string | undefined)[] {
  try {
    const parts: unknown = JSON.parse(text);
    return Array.isArray(parts) && parts.every((part) => typeof part === "string") ? parts : [];
  } catch {
    return [];
  }
}
