/** True only when both types are the same, `any` and readonly included. */
export type Equal<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;

/** `expectType<string>()(value)` compiles when the type of `value` is exactly `string`. */
export declare function expectType<Expected>(): <Actual>(
  value: Actual,
  ...differs: Equal<Expected, Actual> extends true ? [] : [expected: Expected]
) => void;

/** `expectSame<A, B>()` compiles when both types are exactly the same. */
export declare function expectSame<A, B>(...differs: Equal<A, B> extends true ? [] : [a: A, b: B]): void;
