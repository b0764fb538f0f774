import assert from "node:assert/strict";
import { after, describe, it } from "node:test";
import { serve } from "ekiben";
import { connect } from "ekiben/client";
import { Browser, chromium } from "./browser.ts";
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
    const { documents } = await desk.reindex.result(id);
    assert.equal(documents, 13);
    const states = await fetch(`${server.url}/reindex/status?task_id=${id}`, {
      headers: { accept: "text/event-stream" },
    });
    assert.match(await states.text(), /"status":"completed".*"progress":1/);
  });
});

const skip = chromium === undefined && "there is no Chromium on this machine: set CHROMIUM to its path";
describe("the page, in Chromium", { skip }, async () => {
  const browser = await Browser.open(chromium as string, server.url);
  after(() => browser[Symbol.asyncDispose]());

  it("shows the documents", async () => {
    await browser.waitFor("return document.body?.dataset.ready");
    const list = await browser.run("return document.querySelector('#documents').textContent");
    assert.match(String(list), /Deposit and refunds \(3\)/);
  });

  it("shows an answer token by token, with its sources", async () => {
    const steps = await browser.run(`
      const answer = document.querySelector("#answer");
      const lengths = new Set();
      const observer = new MutationObserver(() => lengths.add(answer.textContent.length));
      observer.observe(answer, { childList: true });
      document.querySelector("input[name=question]").value = ${JSON.stringify(question)};
      document.querySelector("#send").click();
      window.lengths = lengths;
    `);
    assert.equal(steps, undefined);
    await browser.waitFor(`return document.querySelector("#answer").dataset.state === "complete"`);
    const shown = (await browser.run(`return {
      text: document.querySelector("#answer").textContent,
      source: document.querySelector("#sources li").textContent,
      steps: window.lengths.size,
    }`)) as { text: string; source: string; steps: number };
    assert.match(shown.text, /three working days.*\[1\]/);
    assert.match(shown.source, /^Deposit and refunds: We hold a deposit/);
    assert.ok(shown.steps > 5, `the answer grew in ${shown.steps} steps`);
  });

  it("stops an answer at its first token, and keeps what was shown", async () => {
    const text = await browser.run(`
      const answer = document.querySelector("#answer");
      const first = new Promise((resolve) => {
        const observer = new MutationObserver(() => {
          if (answer.textContent === "") return;
          observer.disconnect();
          resolve();
        });
        observer.observe(answer, { childList: true });
      });
      document.querySelector("#send").click();
      await first;
      document.querySelector("#stop").click();
      while (answer.dataset.state === "writing") await new Promise((resolve) => requestAnimationFrame(resolve));
      return [answer.dataset.state, answer.textContent];
    `);
    const [state, shown] = text as [string, string];
    assert.equal(state, "stopped");
    assert.ok(shown.length > 0 && !shown.includes("three working days after you have returned"), shown);
  });

  it("shows why a question was refused", async () => {
    await browser.run(`
      document.querySelector("input[name=question]").value = "My card is 4111 1111 1111 1111";
      document.querySelector("#send").click();
    `);
    await browser.waitFor(`return document.querySelector("#answer").dataset.state === "failed"`);
    const shown = await browser.run(`return document.querySelector("#answer").textContent`);
    assert.match(String(shown), /number of a payment card/);
    // Chromium itself reports the status 400.
    assert.match(browser.problems.pop() ?? "", /400/);
  });

  it("uploads a document that is chosen", async () => {
    await browser.chooseFile("#file", warrantyFile);
    const said = await browser.waitFor(`return document.querySelector("#uploaded").textContent`);
    assert.match(String(said), /^added “Repairs of your own bicycle”: 2 passages$/);
  });

  it("shows how far the index is, until it is complete", async () => {
    await browser.run(`document.querySelector("#reindex").click()`);
    await browser.waitFor(`return document.querySelector("#indexed").textContent.startsWith("completed")`);
    assert.equal(await browser.run(`return document.querySelector("#progress").value`), 1);
    assert.equal(await browser.run(`return document.querySelector("#reindex").disabled`), false);
  });

  it("meets no other problem", () => assert.deepEqual(browser.problems, []));
});

function post(path: string, body: unknown, accept = "application/x-ndjson"): Promise<Response> {
  return fetch(server.url + path, {
    method: "POST",
    headers: { "content-type": "application/json", accept },
    body: JSON.stringify(body),
  });
}
