const events = ["uncaughtException", "unhandledRejection"] as const;

/**
 * Removes the process listeners that only throw the error again.
 *
 * A WebAssembly module built by Emscripten adds them when it loads. They end the process on any uncaught error, with
 * the whole source of the module as the message, although another listener might only log the error.
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
