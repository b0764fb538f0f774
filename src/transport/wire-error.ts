import { ServingError } from "../failure/serving-error.js";
export function encodeError(e: ServingError): string {
  const { code, id, message, details, retryable, httpStatus, fix, incident, service, api, stack } = e;
  return JSON.stringify({ code, id, message, details, retryable, httpStatus, fix, incident, service, api, stack: stack?.slice(0, 8192) });
}
export function decodeError(text: string): ServingError {
  const { stack, ...init } = JSON.parse(text);
  const error = new ServingError(init);
  Object.defineProperty(error, "remoteStack", { value: stack, enumerable: false });
  return error;
}
