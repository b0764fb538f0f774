import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import os from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { api, currentCall, depends, file, type Server, Service, ServingError, serve, task, tensor } from "ekiben";
import { z } from "zod";
import { type BrowserPage, Chromium, skipsBrowser } from "./chromium.js";

class Embedder extends Service() {
  embed = api({ input: z.array(z.string()), output: tensor("float32", ["texts", 384]) }, () => assert.fail("unused"));
}
class Moderation extends Service() {
  embedder = depends(Embedder);
  judge = api(
    { input: z.object({ text: z.string(), language: z.enum(["en", "de"]) }), output: z.object({ ok: z.boolean() }) },
    () => ({ ok: true }),
  );
}

let cancelled: () => void;
const isCancelled = new Promise<void>((resolve) => (cancelled = resolve));

class Desk extends Service({ description: "Answers letters." }) {
  embedder = depends(Embedder);
  moderation = depends(Moderation);

  describe = api(
    {
      summary: "Describes a letter and what came with it.",
      input: z.object({
        letter: file(),
        photo: z.optional(file({ contentType: "image/*" })),
        appendices: z.array(file()).default([]),
        note: z.string().optional(),
      }),
      output: z.string(),
    },
    ({ letter, photo, appendices, note }) =>
      [letter.name, photo?.name ?? "no photo", `${appendices.map(({ name }) => name)}`, note ?? "no note"].join("; "),
  );
  any = api(
    { input: z.object({ note: z.string().optional(), photo: z.file().optional() }), output: z.string() },
    ({ note, photo }) => `${note} ${photo?.name}`,
  );
  tell = api({ input: z.string(), yields: z.string() }, async function* (text) {
    yield text;
    const { signal } = currentCall();
    await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
    cancelled();
  });
  train = task({ input: z.string(), output: z.string() }, (text) => text);
}

/** Expression for the form of an api, and parts of it. */
const formOf = (name: string) => `document.querySelector("#api-${name} .try")`;
const curlOf = (name: string) => `${formOf(name)}.querySelector(".curl pre").textContent`;
const click = (name: string, text: string) =>
  `[...${formOf(name)}.querySelectorAll("button")].find((b) => !b.hidden && b.textContent === ${JSON.stringify(text)}).click()`;
const answerOf = (name: string) => `${formOf(name)}.querySelector(".body")?.textContent`;

describe("the docs page in Chromium", { skip: skipsBrowser, timeout: 60_000 }, () => {
  const folder = mkdtempSync(join(os.tmpdir(), "ekiben-docs-page-"));
  const paths = Object.fromEntries(
    ["a.txt", "b.txt", "c.txt"].map((name) => {
      const path = join(folder, name);
      writeFileSync(path, name);
      return [name, path];
    }),
  ) as Record<string, string>;
  let server: Server;
  let browser: Chromium;
  before(async () => {
    const options = { placement: "inline", data: folder, logLevel: "silent" } as const;
    server = await serve(Desk, { port: 0, host: "127.0.0.1", options });
    browser = new Chromium();
  });
  after(async () => {
    await server?.close();
    await browser?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  async function open(width: number): Promise<BrowserPage> {
    const page = await browser.open(`${server.url}/docs`, width);
    await page.until(`document.querySelector("#api-train .try") && document.querySelector("img").complete`);
    return page;
  }

  it("fits a phone: nothing is cut, and the graph says that it scrolls", async () => {
    const page = await open(360);
    assert.equal(await page.run("document.documentElement.scrollWidth"), 360);
    const cut = await page.run(`[...document.body.querySelectorAll("main *, nav > *")].flatMap((node) => {
      const { left, right, width } = node.getBoundingClientRect();
      const scrolls = (each) => each && (/auto|scroll/.test(getComputedStyle(each).overflowX) || scrolls(each.parentElement));
      return width > 0 && (left < 0 || right > 360.5) && !scrolls(node.parentElement) ? [node.outerHTML.slice(0, 80)] : [];
    })`);
    assert.deepEqual(cut, []);
    const graph = await page.until<object>(`(() => {
      const [view, hint] = [document.querySelector(".graph > div"), document.querySelector("figcaption")];
      const isWide = view.scrollWidth > view.clientWidth;
      return isWide && !hint.hidden && { more: document.querySelector(".graph").className, left: view.getBoundingClientRect().left };
    })()`);
    assert.deepEqual(graph, { more: "graph more-right", left: 20 });
    await page.run(`document.querySelector(".graph > div").scrollTo(10_000, 0)`);
    await page.until(`document.querySelector(".graph").className === "graph"`);
  });

  it("shows the graph in its own size, in which every text has 11 pixels or more", async () => {
    const page = await open(1280);
    const sizes = await page.run<{ shown: number; natural: number }>(`(() => {
      const picture = document.querySelector(".graph img");
      return { shown: picture.clientWidth, natural: picture.naturalWidth };
    })()`);
    assert.equal(sizes.shown, sizes.natural);
    const svg = Buffer.from(await page.run<string>(`document.querySelector(".graph img").src.split(",")[1]`), "base64");
    const fontSizes = [...`${svg}`.matchAll(/font-size:([\d.]+)px/g)].map(([, size]) => Number(size));
    assert.ok(fontSizes.length > 0 && Math.min(...fontSizes) >= 11, `${fontSizes}`);
    assert.equal(await page.run(`document.querySelector(".version")`), null);
    const marks = await page.run(`[...document.querySelectorAll("nav li")].map((item) => item.textContent)`);
    assert.deepEqual(marks, ["/describe", "/any", "/tellstream", "/traintask"]);
  });

  it("sends a form with files: required, optional, and a list that grows and shrinks", async () => {
    const page = await open(1280);
    assert.match(
      await page.run(curlOf("describe")),
      /^curl \S+describe \\\n {2}-F 'letter=@letter' \\\n {2}-H 'accept: application\/json'$/,
    );
    await page.run(click("describe", "Send"));
    assert.equal(
      await page.run(`${formOf("describe")}.querySelector(".warning").textContent`),
      "Choose a file for letter first.",
    );
    const field = (index: number) => `#api-describe .inputs > div:nth-child(${index}) .file:last-child input`;
    await page.choose(field(1), [paths["a.txt"] as string]);
    await page.choose(field(3), [paths["b.txt"] as string]);
    await page.run(click("describe", "Add a file"));
    await page.choose(field(3), [paths["c.txt"] as string]);
    assert.match(
      await page.run(curlOf("describe")),
      /-F 'letter=@a.txt' \\\n {2}-F 'appendices=@b.txt' \\\n {2}-F 'appendices=@c.txt' \\$/m,
    );
    await page.run(click("describe", "Send"));
    assert.equal(await page.until(answerOf("describe")), '"a.txt; no photo; b.txt,c.txt; no note"');
    await page.run(`document.querySelector("#api-describe .inputs > div:nth-child(3) .file button").click()`);
    assert.doesNotMatch(await page.run(curlOf("describe")), /b\.txt/);
  });

  it("shows the curl command that sends an empty form, and sends that", async () => {
    const page = await open(1280);
    const command = await page.run<string>(curlOf("any"));
    assert.match(command, /-H 'content-type: application\/json' \\\n {2}-d '\{\}'/);
    await page.run(click("any", "Send"));
    assert.equal(await page.until(answerOf("any")), '"undefined undefined"');
  });

  it("says who is asking, where the app asks", async () => {
    const own = await open(1280);
    assert.equal(await own.run(`document.querySelector(".credentials")`), null);
    const guarded = await serve(Moderation, {
      port: 0,
      host: "127.0.0.1",
      options: { placement: "inline", logLevel: "silent" },
      context: ({ headers }) => {
        if (headers["authorization"] === "Bearer key-of-ann") return { user: "ann" };
        throw new ServingError({ code: "unauthenticated", message: "who is asking?" });
      },
    });
    try {
      const page = await browser.open(`${guarded.url}/docs`, 1280);
      await page.until(`document.querySelector("#api-judge .try")`);
      const send = `document.querySelector("#api-judge .try button.primary").click()`;
      const shown = (text: string) => `document.querySelector("#api-judge .try").textContent.includes("${text}")`;
      await page.run(send);
      await page.until(shown("who is asking?"));
      await page.run(`(() => {
        const input = document.querySelector(".credentials input");
        input.value = "key-of-ann";
        input.dispatchEvent(new Event("input"));
      })()`);
      await page.until(shown("$AUTHORIZATION"));
      await page.run(send);
      await page.until(shown('"ok": true'.replaceAll('"', '\\"')));
      assert.equal(await page.run(`document.body.textContent.includes("key-of-ann")`), false);
    } finally {
      await guarded.close();
    }
  });

  it("stops a stream, on the server too", async () => {
    const page = await open(1280);
    await page.run(click("tell", "Send"));
    await page.until(`${formOf("tell")}.querySelector(".items li")`);
    await page.run(click("tell", "Stop"));
    await isCancelled;
    assert.match(await page.until(`${formOf("tell")}.querySelector(".status").textContent`), /stopped after/);
    await page.until(`${formOf("tell")}.querySelector("button.primary").textContent === "Send"`);
  });
});
