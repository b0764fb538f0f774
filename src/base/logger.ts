/** Structured logger of pino's shape. Any logger with these methods may be passed to ekiben. */
export interface Logger {
  debug(fields: object, message?: string): void;
  info(fields: object, message?: string): void;
  warn(fields: object, message?: string): void;
  error(fields: object, message?: string): void;
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
