/**
 * Structured logger of pino's shape: `log.info({ pages: 3 }, "indexed")`, or the text alone, `log.info("indexed")`.
 *
 * Any logger with these methods may be passed to ekiben, which always gives it an object first.
 */
export interface Logger {
  debug(fields: object | string, message?: string): void;
  info(fields: object | string, message?: string): void;
  warn(fields: object | string, message?: string): void;
  error(fields: object | string, message?: string): void;
  /** Returns a logger that adds `fields` to each of its lines. */
  child(fields: Record<string, unknown>): Logger;
}

/** Logger that writes nothing. The default in tests and when no logger was given. */
export const silentLogger: Logger = {
  debug: () => {},
  info: () => {},
  warn: () => {},
  error: () => {},
  child: () => silentLogger,
};
