// A service whose calls take as long as a test wants.
import { existsSync } from "node:fs";
import { api, Service } from "ekiben";
import { z } from "zod";

const text = { input: z.string(), output: z.string() };

export class Waiting extends Service({ replicas: 2 }) {
  echo = api(text, (value) => value);
  /** Answers when the file exists. */
  wait = api(text, async (file) => {
    console.error("waiting");
    while (!existsSync(file)) await new Promise((resolve) => setTimeout(resolve, 20));
    return file;
  });
}
