import { readFile, writeFile } from "node:fs/promises";
import type { LogisticWeights } from "@ekiben/example-models/logistic";
import type { NaiveBayesWeights } from "@ekiben/example-models/naive-bayes";

/** Results of training, one file per service. */
export interface Artifacts {
  readonly words: NaiveBayesWeights;
  readonly semantic: LogisticWeights;
  readonly style: LogisticWeights;
}

const locate = (name: string) => new URL(`artifacts/${name}.json`, import.meta.url);

export async function readArtifact<Name extends keyof Artifacts>(name: Name): Promise<Artifacts[Name]> {
  return JSON.parse(await readFile(locate(name), "utf8")) as Artifacts[Name];
}

export async function writeArtifact<Name extends keyof Artifacts>(name: Name, artifact: Artifacts[Name]) {
  await writeFile(locate(name), `${JSON.stringify(artifact)}\n`);
}
