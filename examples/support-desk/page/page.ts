/// <reference lib="dom" />
import { client } from "ekiben/client";
import type { SupportDesk } from "../service.ts";

const desk = client<SupportDesk>("/");

const [ask, question] = [find<HTMLFormElement>("#ask"), find<HTMLInputElement>("input[name=question]")];
const [send, stop] = [find<HTMLButtonElement>("#send"), find<HTMLButtonElement>("#stop")];
const [answer, sources] = [find("#answer"), find("#sources")];
const [upload, uploaded, documents] = [find<HTMLInputElement>("#file"), find("#uploaded"), find("#documents")];
const [reindex, indexed] = [find<HTMLButtonElement>("#reindex"), find("#indexed")];
const progress = find<HTMLProgressElement>("#progress");

ask.addEventListener("submit", (event) => {
  event.preventDefault();
  void showAnswer(question.value);
});
upload.addEventListener("change", () => void addDocument(upload.files?.[0]));
reindex.addEventListener("click", () => void indexAgain());
await listDocuments();
document.body.dataset["ready"] = "true";

/** Asks, and shows each token when it comes. The button stops the stream, on the server too. */
async function showAnswer(text: string): Promise<void> {
  const stopping = new AbortController();
  const onStop = () => stopping.abort();
  stop.addEventListener("click", onStop);
  send.disabled = true;
  stop.disabled = false;
  answer.textContent = "";
  sources.replaceChildren();
  answer.dataset["state"] = "writing";
  try {
    for await (const item of desk.ask({ question: text }, { signal: stopping.signal })) {
      if (item.kind === "token") answer.append(item.text);
      else sources.replaceChildren(...item.sources.map(({ title, text }) => createItem(`${title}: ${text}`)));
    }
    answer.dataset["state"] = "complete";
  } catch (error) {
    if (!stopping.signal.aborted) answer.append(` ${messageOf(error)}`);
    answer.dataset["state"] = stopping.signal.aborted ? "stopped" : "failed";
  } finally {
    stop.removeEventListener("click", onStop);
    send.disabled = false;
    stop.disabled = true;
  }
}

async function addDocument(file: File | undefined): Promise<void> {
  if (file === undefined) return;
  try {
    const { title, passages } = await desk.upload({ document: file });
    uploaded.textContent = `added “${title}”: ${passages} passages`;
    await listDocuments();
  } catch (error) {
    uploaded.textContent = messageOf(error);
  }
  upload.value = "";
}

async function listDocuments(): Promise<void> {
  const list = await desk.documents();
  documents.replaceChildren(...list.map(({ title, passages }) => createItem(`${title} (${passages})`)));
}

/** Submits the task and follows it until it has ended, also when the connection is lost in between. */
async function indexAgain(): Promise<void> {
  reindex.disabled = true;
  try {
    const { id } = await desk.reindex.submit();
    for await (const { status, progress: share = 0, note = "" } of desk.reindex.watch(id)) {
      progress.value = share;
      indexed.textContent = `${status} ${note}`;
    }
  } catch (error) {
    indexed.textContent = messageOf(error);
  }
  reindex.disabled = false;
}

function createItem(text: string): HTMLLIElement {
  const item = document.createElement("li");
  item.textContent = text;
  return item;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

function find<E extends HTMLElement>(selector: string): E {
  const found = document.querySelector<E>(selector);
  if (found === null) throw new Error(`the page has no ${selector}`);
  return found;
}
