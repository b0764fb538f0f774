import { randomBytes } from "node:crypto";

/** A life of a thread or process, as names of files have it: so many hexadecimal digits of it. */
const lifeDigits = 16;
const form = /^[0-9a-f]{40}$/;

/** A name for a file that nobody can guess and no other has; it begins with the thread or process that owns the file. */
export const createHeldName = (life: string): string => life.slice(0, lifeDigits) + randomBytes(12).toString("hex");

/** Whether a text is such a name, and no way out of the folder. */
export const isHeldName = (text: string): boolean => form.test(text);

/** Whether a thread or process owns the file of that name. @param life At least 16 hexadecimal digits. */
export const isHeldBy = (name: string, life: string): boolean =>
  isHeldName(name) && name.startsWith(life.slice(0, lifeDigits));
