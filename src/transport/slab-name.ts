import { randomBytes } from "node:crypto";

const form = /^[0-9a-f]{24}$/;

const prefixOf = (pid: number): string => pid.toString(16).padStart(8, "0");

/** A name for a slab that nobody can guess and no other has; it begins with the process that writes the slab. */
export const createSlabName = (): string => prefixOf(process.pid) + randomBytes(8).toString("hex");

/** Whether a text is such a name, and no way out of the folder. */
export const isSlabName = (text: string): boolean => form.test(text);

/** Whether a process has made the slab of that name. */
export const isSlabOf = (name: string, pid: number): boolean => isSlabName(name) && name.startsWith(prefixOf(pid));
