/**
 * Pattern of the name of a service or an api, as the source of a regular expression with the flag `u`: characters of
 * JavaScript names, and hyphens. None of them has another meaning in `file.ts:Name`, `Name.api=2`, or between commas.
 */
export const namePattern = "[\\p{ID_Continue}$\\u200c\\u200d-]+";

const whole = new RegExp(`^${namePattern}$`, "u");

/** True when a service or an api may have this name. */
export const isName = (text: string): boolean => whole.test(text);
