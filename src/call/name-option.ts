/** The `timeoutMs` of an api, for the failure of a deadline: `"timeoutMs of Model.train, from EKIBEN_TIMEOUT_MS"`. */
export function nameOption(service: string, api: string, from = "default"): string {
  return `timeoutMs of ${service}.${api}, ${from === "default" ? "its default" : `from ${from}`}`;
}
