// Serves the example, sends it a real page over HTTP and shows the answer.
//
//   npx tsx examples/document-intake/start.ts           keeps serving until Ctrl-C
//   npx tsx examples/document-intake/start.ts --once    ends after the first answer
import { relative } from "node:path";
import { fileURLToPath } from "node:url";
import { serve } from "ekiben";
import { locatePage, readPage } from "./pages.ts";
import { DocumentIntake } from "./service.ts";

interface Intake {
  readonly label: string;
  readonly language: string;
  readonly scores: Readonly<Record<string, number>>;
  readonly lines: readonly { readonly text: string }[];
}

const once = process.argv.includes("--once");

console.log("Starting: text detection, text recognition, language, document kind …");
const begun = performance.now();
const server = await serve(DocumentIntake, { options: { logLevel: "warn" }, ...(once && { port: 0 }) });
console.log(`Ready in ${formatSeconds(begun)}. Sending it a page over HTTP.\n`);

try {
  await showAnswer("a-invoice.png");
} catch (error) {
  await server.close();
  throw error;
}

if (once) {
  await server.close();
} else {
  const stop = () => void server.close();
  process.once("SIGINT", stop).once("SIGTERM", stop);
  console.log(`Serving on ${server.url} until Ctrl-C. Try another page:\n`);
  console.log(`  curl -F page=@${locate("b-weather.png")} ${server.url}/read\n`);
  console.log(`Every api, with a form to try it: ${server.url}/docs`);
}

async function showAnswer(name: string): Promise<void> {
  const form = new FormData();
  form.set("page", await readPage(name));
  const sent = performance.now();
  const response = await fetch(`${server.url}/read`, { method: "POST", body: form });
  if (!response.ok) throw new Error(`${response.status}: ${await response.text()}`);
  console.log(formatIntake(name, (await response.json()) as Intake));
  console.log(`\n  answered in ${formatSeconds(sent)}\n`);
}

function formatIntake(name: string, { label, language, lines, scores }: Intake): string {
  const ranked = Object.entries(scores).sort(([, a], [, b]) => b - a);
  const [first = "", ...rest] = lines.map(({ text }) => text);
  return [
    `  page      ${locate(name)}`,
    `  kind      ${label}   (${ranked.map(([kind, score]) => `${kind} ${score.toFixed(2)}`).join(", ")})`,
    `  language  ${language}`,
    `  text      ${first}`,
    ...rest.map((line) => `            ${line}`),
  ].join("\n");
}

function locate(name: string): string {
  return relative(process.cwd(), fileURLToPath(locatePage(name)));
}

function formatSeconds(since: number): string {
  return `${((performance.now() - since) / 1000).toFixed(1)} s`;
}
