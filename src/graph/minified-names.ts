import type { Graph } from "./graph.js";

/**
 * Says which services seem to have lost their names to a minifier. Classes are written with a capital; what is left of a name is one
 * letter or two, mostly small ones, and may be another after each build.
 *
 * @returns `undefined` where none has.
 */
export function describeMinifiedNames({ services }: Graph): string | undefined {
  const short = [...services.values()].filter(
    ({ name, options }) => options.name === undefined && /^[a-z_$][\w$]?$/.test(name),
  );
  if (short.length === 0) return undefined;
  return `names of services look minified: ${short.map(({ name }) => name).join(", ")}; they are in metrics, options and stored tasks, and another build may give others`;
}

/** What to do about it. */
export const minifiedNamesFix =
  'Keep names where the bundle is made (esbuild --keep-names), or name the services: Service({ name: "…" }).';
