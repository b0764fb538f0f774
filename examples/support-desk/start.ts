// Serves the example, asks it a question over HTTP and shows the answer as it comes.
//
//   npx tsx examples/support-desk/start.ts           keeps serving until Ctrl-C
//   npx tsx examples/support-desk/start.ts --once    ends after the first answer
import { serve } from "ekiben";
import { connect } from "ekiben/client";
import appFile from "./ekiben.config.ts";
import { SupportDesk } from "./service.ts";

const once = process.argv.includes("--once");

console.log("Starting: languages, moderation, embedder, library, writer …");
const server = await serve(SupportDesk, {
  options: { ...appFile, logLevel: "warn" },
  signals: true,
  ...(once && { port: 0 }),
});

try {
  await showAnswer("How long does it take until I get my deposit back?");
} catch (error) {
  await server.close();
  throw error;
}
if (once) await server.close();
else console.log(`The page: ${server.url}/    every api: ${server.url}/docs    Ctrl-C ends it.`);

async function showAnswer(question: string): Promise<void> {
  const desk = await connect<SupportDesk>(server.url);
  console.log(`\n  ${question}\n`);
  for await (const item of desk.ask({ question })) {
    if (item.kind === "token") process.stdout.write(item.text);
    else process.stdout.write(`${item.sources.map(({ title }, index) => `  [${index + 1}] ${title}\n`).join("")}\n  `);
  }
  console.log("\n");
}
