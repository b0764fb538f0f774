// Measures the cost of one call between two services in one process, beside a plain awaited method.
import { api, depends, Service } from "ekiben";
import { compose } from "ekiben/testing";
import { z } from "zod";
import { type Contestant, measureInTurn, median } from "./measure.ts";
import { createRow, createVerdict, report } from "./report.ts";
import { readSettings } from "./settings.ts";

const Message = z.object({ text: z.string() });
const { seconds, rounds } = readSettings({ seconds: 0.3, rounds: 11 });
/** Calls between two readings of the clock. */
const callsAtOnce = 500;

class Echo extends Service() {
  echo = api({ input: Message, output: Message }, (message) => message);
}

/** Runs a loop inside an api, because calls between services are made there. */
class Caller extends Service() {
  target = depends(Echo);
  plain = new PlainEcho();

  callPlain = api({ output: z.number() }, () => measureLoop(() => this.plain.echo({ text: "hello" })));
  callHandle = api({ output: z.number() }, () => measureLoop(() => this.target.echo({ text: "hello" })));
}

class PlainEcho {
  async echo(message: { text: string }) {
    return message;
  }
}

/** Nanoseconds of CPU per call: on a busy machine, wall time depends more on other programs. */
async function measureLoop(call: () => Promise<unknown>): Promise<number> {
  const { user, system } = process.cpuUsage();
  const begun = performance.now();
  let calls = 0;
  while (performance.now() - begun < seconds * 1000) {
    for (let i = 0; i < callsAtOnce; i++) await call();
    calls += callsAtOnce;
  }
  const spent = process.cpuUsage({ user, system });
  return ((spent.user + spent.system) * 1000) / calls;
}

const names = {
  before: "plain awaited method, before any context is in use",
  outside: "plain awaited method",
  inside: "plain awaited method, inside an api",
  unchecked: "inline hop, no checks",
  checked: "inline hop, input and output checked by zod",
  zod: "zod alone, parsing the message twice",
} as const;

const plain = new PlainEcho();
// On Node 20, the first use of AsyncLocalStorage makes every later await of the process slower.
const before: Contestant = { name: names.before, round: () => measureLoop(() => plain.echo({ text: "hello" })) };
const figuresBefore = await measureInTurn([before], rounds);

const unchecked = await compose(Caller, { options: { validate: "boundary" } });
const checked = await compose(Caller, { options: { validate: "all" } });

const contestants: Contestant[] = [
  { name: names.outside, round: () => measureLoop(() => plain.echo({ text: "hello" })) },
  { name: names.inside, round: () => unchecked.entry.callPlain() },
  { name: names.unchecked, round: () => unchecked.entry.callHandle() },
  { name: names.checked, round: () => checked.entry.callHandle() },
  { name: names.zod, round: () => measureLoop(async () => Message.parse(Message.parse({ text: "hello" }))) },
];
const figures = new Map([...figuresBefore, ...(await measureInTurn(contestants, rounds))]);
await unchecked.close();
await checked.close();

const microseconds = (name: string) => median(figures.get(name) ?? []) / 1000;
report("hop", {
  rows: [before, ...contestants].map(({ name }) => createRow(name, "ns CPU", figures.get(name) ?? [])),
  verdicts: [
    createVerdict("an inline hop without checks", microseconds(names.unchecked), { atMost: 1 }, "us CPU"),
    createVerdict(
      "an inline hop with zod checks of a small object",
      microseconds(names.checked),
      { atMost: 5 },
      "us CPU",
    ),
  ],
  setup: { seconds, rounds, message: '{ text: "hello" }' },
});
