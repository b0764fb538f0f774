/**
 * What the name of a service or an api is made of, as the source of a regular expression for the flag `u`: JavaScript's own rule for
 * the signs of a name, and hyphens. So no sign of it means anything else in `file.ts:Name`, `Name.api=2`, or between commas.
 */
export const namePattern = "[\\p{ID_Continue}$\\u200c\\u200d-]+";

const whole = new RegExp(`^${namePattern}$`, "u");

/** Whether a service or an api may have this name. */
export const isName = (text: string): boolean => whole.test(text);
