// Mistakes that authors make, each in its smallest form. Each fails only its own call.

/** Values that cause trouble when they are thrown, returned or described. */
const slips: Readonly<Record<string, (call: () => Promise<unknown>) => unknown>> = {
  // Promises.
  callNobodyAwaits: (call) => {
    void call();
    return "ok";
  },
  callBesideAThrow: (call) => {
    void call();
    throw new Error("thrown beside a call");
  },
  promiseInAnObject: (call) => ({ value: call() }),
  promisesInAList: (call) => [call(), call()],
  rejectionInAnObject: () => ({ value: Promise.reject(new Error("inside")) }),
  // Thrown values.
  frozenError: () => {
    throw Object.freeze(new Error("frozen"));
  },
  manyCauses: () => {
    let error = new Error("root");
    for (let i = 0; i < 12_000; i++) error = new Error(`cause ${i}`, { cause: error });
    throw error;
  },
  causeOfItself: () => {
    const error = new Error("round");
    error.cause = error;
    throw error;
  },
  ...Object.fromEntries(
    ["message", "name", "stack", "cause", "details", "code", "toString"].map((field) => [
      `getterOf_${field}`,
      () => {
        const error = new Error("x");
        Object.defineProperty(error, field, {
          get: () => {
            throw new Error(`no ${field}`);
          },
        });
        throw error;
      },
    ]),
  ),
  revokedProxy: () => {
    const { proxy, revoke } = Proxy.revocable(new Error("x"), {});
    revoke();
    throw proxy;
  },
  proxyThatThrows: () => {
    const fail = () => {
      throw new Error("a trap");
    };
    throw new Proxy(new Error("x"), { get: fail, has: fail, getPrototypeOf: fail, ownKeys: fail });
  },
  longMessage: () => {
    throw new Error("x".repeat(10 << 20));
  },
  nothing: () => {
    throw undefined;
  },
  nullPrototype: () => {
    throw Object.create(null);
  },
  symbol: () => {
    throw Symbol("s");
  },
  // Returned values.
  sharedWithoutEnd: () => {
    let value: unknown = { x: 1 };
    for (let i = 0; i < 30; i++) value = [value, value];
    return value;
  },
  sparse: () => {
    const list: number[] = [];
    list[4e9] = 1;
    return list;
  },
  circular: () => {
    const value: Record<string, unknown> = {};
    value["self"] = value;
    return value;
  },
  deep: () => {
    let value: unknown = 1;
    for (let i = 0; i < 100_000; i++) value = [value];
    return value;
  },
  getterThatThrows: () => ({
    get value() {
      throw new Error("a getter");
    },
  }),
  toJsonThatThrows: () => ({
    toJSON() {
      throw new Error("toJSON");
    },
  }),
  functionInside: () => ({ run: () => 1 }),
  thenThatThrows: () => ({
    // biome-ignore lint/suspicious/noThenProperty: it is the slip.
    get then() {
      throw new Error("then");
    },
  }),
};

export const slipNames = Object.keys(slips);

export function runSlip(name: string, call: () => Promise<unknown>): unknown {
  return slips[name]?.(call);
}
