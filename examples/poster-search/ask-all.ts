import { type Handle, Tensor } from "ekiben";
import { type PosterName, posterNames, questions, readPoster } from "./posters.ts";
import type { PosterSearch } from "./service.ts";

type Entry = Pick<Handle<PosterSearch>, "describe" | "search">;

/**
 * Describes posters, asks the question that belongs to each, and gives the name ranked first for it.
 *
 * When everything works, the answer is `names` itself.
 */
export async function askAll(entry: Entry, names: PosterName[] = posterNames): Promise<(string | undefined)[]> {
  const values: number[] = [];
  for (const name of names) {
    const { vector } = await entry.describe({ poster: await readPoster(name) });
    values.push(...vector.data);
  }
  const vectors = new Tensor("float32", [names.length, 512], Float32Array.from(values));
  const rankings = names.map((name) => entry.search({ question: questions[name], names, vectors }));
  return (await Promise.all(rankings)).map(([first]) => first?.name);
}
