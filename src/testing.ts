export { type ComposedApp, type ComposeOptions, compose } from "./testing/compose.js";
export type { DelayRule, FailRule } from "./site/faults.js";
