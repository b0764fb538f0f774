import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { readTar, TarError } from "./read-tar.js";

interface Entry {
  readonly name: string;
  readonly type?: string;
  readonly content?: string;
  readonly prefix?: string;
  /** Size in the header, if it is not that of the content. */
  readonly size?: string;
}

/** Makes one entry of an archive: a header of 512 bytes, and the content in blocks. */
function entry({ name, type = "0", content = "", prefix = "", size }: Entry): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write(size ?? Buffer.byteLength(content).toString(8).padStart(11, "0"), 124, "latin1");
  header.write("        ", 148);
  header.write(type, 156);
  header.write("ustar\u000000", 257, "latin1");
  header.write(prefix, 345);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  const blocks = Buffer.alloc(Math.ceil(Buffer.byteLength(content) / 512) * 512);
  blocks.write(content);
  return Buffer.concat([header, blocks]);
}

const record = (key: string, value: string): string => {
  const rest = ` ${key}=${value}\n`;
  const length = rest.length + String(rest.length + 2).length;
  return `${length}${rest}`;
};

const end = Buffer.alloc(1024);

/** Reads an archive that arrives in parts of `size` bytes. */
async function read(parts: readonly Buffer[], size = 700): Promise<Record<string, string>> {
  const all = Buffer.concat(parts);
  async function* cut() {
    for (let at = 0; at < all.length; at += size) yield all.subarray(at, at + size);
  }
  const files: Record<string, string> = {};
  await readTar(cut(), async ({ path, content }) => {
    const texts: Buffer[] = [];
    for await (const part of content) texts.push(part);
    files[path] = Buffer.concat(texts).toString();
  });
  return files;
}

describe("an archive", () => {
  it("gives its files without the first folder, however it arrives, and leaves out folders, links and devices", async () => {
    const archive = [
      entry({ name: "package/", type: "5" }),
      entry({ name: "package/a.txt", content: "x".repeat(1500) }),
      entry({ name: "package/link", type: "2" }),
      entry({ name: "package/hard", type: "1" }),
      entry({ name: "package/device", type: "3" }),
      entry({ name: "b.txt", prefix: "package/deep", content: "b" }),
      entry({ name: "other/c.txt", content: "" }),
      end,
    ];
    for (const size of [1, 511, 512, 10_000]) {
      assert.deepEqual(await read(archive, size), { "a.txt": "x".repeat(1500), "deep/b.txt": "b", "c.txt": "" });
    }
  });

  it("gives long names in both of their forms", async () => {
    const name = `package/${"long/".repeat(60)}a.txt`;
    const pax = entry({ name: "ignored", type: "x", content: record("path", name) + record("mtime", "1") });
    const gnu = entry({ name: "ignored", type: "L", content: `${name}\0` });
    for (const header of [pax, gnu]) {
      const files = await read([
        header,
        entry({ name: "package/short", content: "a" }),
        entry({ name: "package/b", content: "b" }),
        end,
      ]);
      assert.deepEqual(files, { [name.slice("package/".length)]: "a", b: "b" });
    }
  });

  it("is refused when a path leads outside, it is cut off, or a header is damaged", async () => {
    const damaged = entry({ name: "package/a" });
    damaged[3] = 0x7a;
    const whole = entry({ name: "package/a", content: "abc" });
    for (const [archive, problem] of [
      [[entry({ name: "package/../../etc/passwd", content: "x" }), end], /leads outside/],
      [[entry({ name: "/etc/passwd", content: "x" }), end], /leads outside/],
      [[entry({ name: "package\\..\\x", content: "x" }), end], /leads outside/],
      [
        [entry({ name: "x", type: "x", content: record("path", "../up") }), entry({ name: "package/a" }), end],
        /leads outside/,
      ],
      [[whole.subarray(0, 600)], /cut off/],
      [[whole], /cut off/],
      [[damaged, end], /wrong checksum/],
      [[entry({ name: "package/a", size: "not octal!!" }), end], /no size/],
      [[entry({ name: "x", type: "x", content: "999 path=a\n" }), end], /damaged/],
      [[entry({ name: "x", type: "L", content: "a".repeat(70_000) }), end], /too long/],
      [[entry({ name: "package/a", size: "77777777777777" }), end], /larger than any package|cut off/],
    ] as const) {
      await assert.rejects(
        read(archive),
        (error: Error) => error instanceof TarError && problem.test(error.message),
        String(problem),
      );
    }
  });
});
