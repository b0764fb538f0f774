import { type Handle, Tensor } from "ekiben";
import { type PosterName, posterNames, questions, readPoster } from "./posters.ts";
import type { PosterSearch } from "./service.ts";

type Entry = Pick<Handle<PosterSearch>, "describe" | "search">;

/** Describes the five posters, asks the five questions, and gives the poster ranked first for each. */
export async function askAll(entry: Entry): Promise<Record<PosterName, string | undefined>> {
  const vectors: number[] = [];
  for (const name of posterNames) {
    vectors.push(...(await entry.describe({ poster: await readPoster(name) })).vector.data);
  }
  const catalogue = { names: posterNames, vectors: new Tensor("float32", [5, 512], Float32Array.from(vectors)) };
  const firsts = posterNames.map(async (name) => {
    const [first] = await entry.search({ question: questions[name], ...catalogue });
    return [name, first?.name] as const;
  });
  return Object.fromEntries(await Promise.all(firsts)) as Record<PosterName, string | undefined>;
}

export const allRight = Object.fromEntries(posterNames.map((name) => [name, name]));
