const events = ["uncaughtException", "unhandledRejection"] as const;

/**
 * Takes off the process listeners that do nothing but throw the error again.
 *
 * A WebAssembly module built by Emscripten adds them when it loads. They end the process on any uncaught error, with the
 * module's whole source as the message, although somebody else may be listening who would only have logged it.
 */
export function dropRethrowingListeners(): void {
  for (const event of events) {
    for (const listener of process.rawListeners(event)) {
      const source = String(listener);
      if (source.includes("instanceof ExitStatus") || /\{\s*throw reason;?\s*\}$/.test(source)) {
        process.off(event, listener as () => void);
      }
    }
  }
}
