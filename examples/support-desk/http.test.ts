import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { serve } from "ekiben";
import { connect } from "ekiben/client";
import { Chromium, skipsBrowser } from "../../test/chromium.ts";
import appFile from "./ekiben.config.ts";
import { createLibraryFolder, readWarranty, warrantyFile } from "./fixtures.ts";
import { SupportDesk } from "./service.ts";

process.env["WRITER_PACE_MS"] = "5";
const removeFolder = createLibraryFolder();
const options = { ...appFile, logLevel: "silent", data: process.env["SUPPORT_DESK_DATA"] as string } as const;
const server = await serve(SupportDesk, { port: 0, options });
after(async () => {
  await server.close();
  removeFolder();
});

const question = "How long does it take until I get my deposit back?";

describe("the support desk over HTTP", () => {
  it("sends its sources first and then each token as an event", async () => {
    const response = await post("/ask", { question }, "text/event-stream");
    assert.match(response.headers.get("content-type") ?? "", /^text\/event-stream/);
    const events = [...(await response.text()).matchAll(/^data: (.*)$/gm)].map(([, data = ""]) => JSON.parse(data));
    assert.deepEqual(events.map(({ kind }) => kind).slice(0, 3), ["sources", "token", "token"]);
    assert.match(events.map(({ text }) => text ?? "").join(""), /three working days/);
  });

  it("answers a refusal with its status, since nothing was sent before it", async () => {
    const refused = await post("/ask", { question: "My card is 4111-1111-1111-1111" }, "text/event-stream");
    assert.deepEqual([refused.status, ((await refused.json()) as { id: string }).id], [400, "card_number"]);
    const unknown = await post("/ask", { question: "Wie wird das Wetter am Freitag in Hamburg?" });
    assert.deepEqual([unknown.status, ((await unknown.json()) as { id: string }).id], [404, "nothing_found"]);
  });

  it("takes a document from a form, and tells its client how far the index is", async () => {
    const form = new FormData();
    form.set("document", await readWarranty());
    const uploaded = await fetch(`${server.url}/upload`, { method: "POST", body: form });
    assert.equal(((await uploaded.json()) as { passages: number }).passages, 2);

    const desk = await connect<SupportDesk>(server.url);
    const { id } = await desk.reindex.submit();
    const shares: number[] = [];
    let last = "";
    for await (const { status, progress = 0 } of desk.reindex.watch(id)) {
      shares.push(progress);
      last = status;
    }
    assert.deepEqual([last, shares.at(-1)], ["completed", 1]);
    assert.deepEqual(
      shares,
      [...shares].sort((x, y) => x - y),
    );
    assert.equal((await desk.reindex.result(id)).documents, 13);
  });
});

describe("the page, in Chromium", { skip: skipsBrowser }, async () => {
  const browser = new Chromium();
  const page = await browser.open(server.url, 1000);
  after(() => browser[Symbol.asyncDispose]());
  const find = (selector: string) => `document.querySelector(${JSON.stringify(selector)})`;
  const state = `${find("#answer")}.dataset.state`;
  const ask = (text: string) =>
    page.run(`${find("input[name=question]")}.value = ${JSON.stringify(text)}, ${find("#send")}.click()`);

  it("shows the documents", async () => {
    await page.until("document.body.dataset.ready");
    await page.run(`window.problems = [], ["error", "unhandledrejection"].forEach((type) => {
      window.addEventListener(type, (event) => window.problems.push(String(event.message ?? event.reason)));
    })`);
    assert.match(await page.run(`${find("#documents")}.textContent`), /Deposit and refunds \(3\)/);
  });

  it("shows an answer token by token, with its sources", async () => {
    await page.run(`window.lengths = new Set(), new MutationObserver(() => {
      window.lengths.add(${find("#answer")}.textContent.length);
    }).observe(${find("#answer")}, { childList: true })`);
    await ask(question);
    await page.until(`${state} === "complete"`);
    assert.match(await page.run(`${find("#answer")}.textContent`), /three working days.*\[1\]/);
    assert.match(await page.run(`${find("#sources li")}.textContent`), /^Deposit and refunds: We hold a deposit/);
    const steps = await page.run<number>("window.lengths.size");
    assert.ok(steps > 5, `the answer grew in ${steps} steps`);
  });

  it("stops an answer at its first token, and keeps what was shown", async () => {
    await page.run(`new MutationObserver((_, observer) => {
      if (${find("#answer")}.textContent === "") return;
      observer.disconnect();
      ${find("#stop")}.click();
    }).observe(${find("#answer")}, { childList: true })`);
    await ask(question);
    await page.until(`${state} !== "writing"`);
    assert.equal(await page.run(state), "stopped");
    const shown = await page.run<string>(`${find("#answer")}.textContent`);
    assert.ok(shown.length > 0 && !shown.includes("after you have returned the bicycle"), shown);
  });

  it("shows why a question was refused", async () => {
    await ask("My card is 4111 1111 1111 1111");
    await page.until(`${state} === "failed"`);
    assert.match(await page.run(`${find("#answer")}.textContent`), /number of a payment card/);
  });

  it("uploads a document that is chosen", async () => {
    await page.choose("#file", [warrantyFile]);
    const said = await page.until<string>(`${find("#uploaded")}.textContent`);
    assert.equal(said, "added “Repairs of your own bicycle”: 2 passages");
  });

  it("shows how far the index is, until it is complete", async () => {
    await page.run(`${find("#reindex")}.click()`);
    await page.until(`${find("#indexed")}.textContent.startsWith("completed")`);
    await page.until(`!${find("#reindex")}.disabled`);
    assert.equal(await page.run(`${find("#progress")}.value`), 1);
  });

  it("throws nowhere", async () => assert.deepEqual(await page.run("window.problems"), []));
});

function post(path: string, body: unknown, accept = "application/x-ndjson"): Promise<Response> {
  return fetch(server.url + path, {
    method: "POST",
    headers: { "content-type": "application/json", accept },
    body: JSON.stringify(body),
  });
}
