export type { DelayRule, FailRule } from "./site/faults.js";
export { type ComposedApp, type ComposeOptions, compose } from "./testing/compose.js";
