import type { Caller, Priority } from "../../call/call.js";
import { RequestContext } from "../../call/request-context.js";

/** Whose request a task belongs to, as its api sees it whenever it runs. */
export interface TaskContext {
  readonly caller: Caller;
  readonly request: RequestContext;
  readonly priority: Priority;
}

/** The context as it is kept beside the task's input. */
export const formatTaskContext = ({ caller, request, priority }: TaskContext): string =>
  JSON.stringify([caller.service, caller.api, request.wireText, priority]);

/** What can't be read is taken for a request of nobody's without headers, as `RequestContext` does. */
export function parseTaskContext(text: string): TaskContext {
  const [service, api, request, priority] = parseTexts(text);
  return {
    caller: { service: service ?? "", api: api ?? "" },
    request: request === undefined ? new RequestContext() : RequestContext.fromWire(request),
    priority: priority === "background" ? priority : "interactive",
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
