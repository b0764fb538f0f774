import { readFile } from "node:fs/promises";
import { resolvePackageFile } from "@ekiben/example-models/package-file";

/** The posters of this example, each with the question only it answers. */
export const questions = {
  train: "When does the train depart?",
  flowers: "I want to buy something for my garden",
  air: "How can I learn to fly an aircraft?",
  people: "A group of people with their faces visible",
  harbour: "A boat on the water",
} as const;

export type PosterName = keyof typeof questions;

export const posterNames = Object.keys(questions) as PosterName[];

const fixtures = new URL("fixtures/", import.meta.url);
const photoSize = { width: 640, height: 440 };

/** The poster as somebody would upload it. */
export async function readPoster(name: PosterName): Promise<File> {
  if (name === "people") return composePeoplePoster();
  const bytes = await readFile(new URL(`posters/${name}.jpg`, fixtures));
  return new File([bytes], `${name}.jpg`, { type: "image/jpeg" });
}

/**
 * A photograph of four people above a printed notice.
 *
 * Put together here and not kept in the repository: the photograph comes from the demo folder of @vladmandic/face-api,
 * which does not state the rights to it.
 */
async function composePeoplePoster(): Promise<File> {
  const { default: sharp } = await import("sharp");
  const notice = await readFile(new URL("people-notice.png", fixtures));
  const photo = await sharp(resolvePackageFile("@vladmandic/face-api", "demo", "sample6.jpg"))
    .resize({ ...photoSize, fit: "contain", background: "#fff" })
    .toBuffer();
  const { height } = await sharp(notice).metadata();
  const poster = await sharp({
    create: { width: photoSize.width, height: photoSize.height + height, channels: 3, background: "#fff" },
  })
    .composite([
      { input: photo, left: 0, top: 0 },
      { input: notice, left: 0, top: photoSize.height },
    ])
    .jpeg({ quality: 88 })
    .toBuffer();
  return new File([new Uint8Array(poster)], "people.jpg", { type: "image/jpeg" });
}
