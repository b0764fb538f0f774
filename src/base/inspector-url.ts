/** Where a debugger can attach to this process, or has: `"ws://127.0.0.1:9229/…"`. Absent in a thread, which has none of its own. */
export const inspectorUrl = (): string | undefined => process.getBuiltinModule?.("node:inspector")?.url();
