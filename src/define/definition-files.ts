import { dirname } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { ownFolder } from "../base/shared-state.js";

/** How many frames above `Service()` are looked at: an author may have made a base class of their own. */
const maxFrames = 12;

/** The files whose code led to this call, innermost first, as URLs; those of ekiben and of Node are left out. */
export function readDefinitionFiles(): readonly string[] {
  const { prepareStackTrace, stackTraceLimit } = Error;
  try {
    Error.stackTraceLimit = maxFrames;
    Error.prepareStackTrace = (_, frames) => frames;
    const frames = new Error().stack as unknown as readonly NodeJS.CallSite[];
    return [...new Set(frames.map((frame) => toUrl(frame.getFileName())).filter(isAuthors))];
  } finally {
    Error.prepareStackTrace = prepareStackTrace;
    Error.stackTraceLimit = stackTraceLimit;
  }
}

function toUrl(file: string | null | undefined): string {
  if (file === null || file === undefined || file === "") return "";
  return file.startsWith("/") ? pathToFileURL(file).href : file;
}

function isAuthors(url: string): boolean {
  return url.startsWith("file:") && dirname(dirname(fileURLToPath(url))) !== ownFolder;
}
