// What `serve --watch` and the versions it runs tell each other, over Node's own channel of a forked process.

/** What can be called, as a version shows it. */
export interface ReadyMessage {
  readonly kind: "ready";
  readonly url: string;
  /** Every api, and one call to try. */
  readonly apis: string;
}

export type FromVersion = { readonly kind: "bind"; readonly host: string; readonly port: number } | ReadyMessage;

export type ToVersion =
  /** Comes with the socket. */
  | { readonly kind: "bound"; readonly url: string; readonly port: number }
  | { readonly kind: "not-bound"; readonly isInUse: boolean; readonly message: string }
  /** It is to answer what it has accepted, and to end. */
  | { readonly kind: "drain"; readonly isReplaced: boolean };
