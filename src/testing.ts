export type { DelayRule, FailRule } from "./runtime/faults.js";
export { type ComposedApp, type ComposeOptions, compose } from "./testing/compose.js";
