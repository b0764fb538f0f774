// Large bodies that are files, parts and tensors, for tests of how they are stored and released.
import { createHash } from "node:crypto";
import { api, depends, file, Service, tensor } from "ekiben";
import { z } from "zod";

const output = z.any();
const hashOf = async (given) =>
  createHash("sha256")
    .update(new Uint8Array(await given.arrayBuffer()))
    .digest("hex");

const Album = z.object({ pages: z.array(z.object({ scan: z.optional(file()) })) });

export class Model extends Service() {
  #kept = [];
  album = api({ input: Album, output }, ({ pages }) =>
    Promise.all(pages.map(async ({ scan }) => [scan.name, await hashOf(scan)])),
  );
  read = api({ input: file(), output }, async (given) => {
    const { name, type, size } = given;
    return { name, type, size, hash: await hashOf(given) };
  });
  pieces = api({ input: file(), output }, async (given) => {
    let size = 0;
    for await (const chunk of given.stream()) size += chunk.length;
    const slice = given.slice(1, 4, "text/x");
    return {
      size,
      slice: [slice.type, [...new Uint8Array(await slice.arrayBuffer())]],
      text: (await given.text()).length,
    };
  });
  size = api({ input: file(), output }, (given) => given.size);
  sum = api({ input: tensor("float32", ["n"]), output }, ({ data }) => [
    data.length,
    data.reduce((sum, value) => sum + value, 0),
  ]);
  keep = api({ input: file(), output }, (given) => this.#kept.push(given));
  kept = api({ output }, async () =>
    Promise.all(this.#kept.splice(0).map(async (given) => [given.name, await hashOf(given)])),
  );
  echo = api({ input: file(), output: file() }, (given) => given);
  slow = api({ input: file(), output }, () => new Promise(() => {}));
  where = api({ output }, () => process.pid);
}

export class Entry extends Service({ http: { maxBodyBytes: "64MiB" } }) {
  model = depends(Model);
  read = api({ input: file(), output }, (given) => this.model.read(given));
  pieces = api({ input: file(), output }, (given) => this.model.pieces(given));
  size = api({ input: file(), output }, (given) => this.model.size(given));
  plain = api({ input: file(), output }, (given) => given.size);
  keep = api({ input: file(), output }, (given) => this.model.keep(given));
  kept = api({ output }, () => this.model.kept());
  echo = api({ input: file(), output: file() }, async (given) => await this.model.echo(given));
  slow = api({ input: file(), output }, (given) => this.model.slow(given));
  sum = api({ input: tensor("float32", ["n"]), output }, (given) => this.model.sum(given));
  form = api({ input: { scan: file(), note: z.string(), page: z.number() }, output }, async ({ scan, note, page }) => ({
    ...(await this.model.read(scan)),
    note,
    page,
  }));
  album = api({ input: Album, output }, (album) => this.model.album(album));
  list = api({ input: z.array(file()), output }, (files) =>
    this.model.album({ pages: files.map((scan) => ({ scan })) }),
  );
  /** Makes a file in memory and gives it to another service. */
  own = api({ input: z.number(), output }, (size) =>
    this.model.read(new File([new Uint8Array(size).fill(7)], "own.bin", { type: "a/b" })),
  );
  where = api({ output }, async () => [process.pid, await this.model.where()]);
}
