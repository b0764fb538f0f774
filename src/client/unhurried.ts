/** What `fetch` of Node hands a request to; the part of it that is used here. */
interface Dispatcher {
  dispatch(options: object, handler: unknown): boolean;
}

/** Under this name Node's `fetch`, and undici where a program sets one of its own, keep the dispatcher of all requests. */
const globalKey = Symbol.for("undici.globalDispatcher.1");

/** Node's `fetch` gives up a request after 300 s without headers, and after 300 s without a byte of the body. */
const withoutLimits = { headersTimeout: 0, bodyTimeout: 0 };

const unhurried: Dispatcher = {
  dispatch: (options, handler) => readGlobal()?.dispatch({ ...options, ...withoutLimits }, handler) ?? false,
};

/**
 * What to add to the options of a `fetch` so that it has no limit of time but those it is given: in Node a dispatcher that passes each
 * request on to the one of the program, a proxy's too, without limits. Nothing elsewhere, where there is no such limit.
 */
export function unhurriedInit(): Pick<RequestInit, never> {
  const init: { readonly dispatcher?: object } = readGlobal() === undefined ? {} : { dispatcher: unhurried };
  return init as Pick<RequestInit, never>;
}

const readGlobal = (): Dispatcher | undefined => (globalThis as { [globalKey]?: Dispatcher })[globalKey];
