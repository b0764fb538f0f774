// Measures the life of an app: its start and its memory, a killed replica, a client that disconnects.
import { placements, startEkiben } from "./ekiben-command.ts";
import { Grid } from "./grid.ts";
import { type KillFigures, killUnits, measureKill, type Victim } from "./life/kill.ts";
import { measureLeave } from "./life/leave.ts";
import { measureEmptyProcess, measureStart, type StartFigures, startUnits } from "./life/start.ts";
import { measureInTurn, median } from "./measure.ts";
import { createRow, createVerdict, report } from "./report.ts";
import { pickParts, readSettings } from "./settings.ts";

const { rounds } = readSettings({ seconds: 1, rounds: 5 });
const parts = { start: reportStart, kill: reportKill, leave: reportLeave } as const;
for (const part of pickParts(Object.keys(parts) as (keyof typeof parts)[])) await parts[part]();

async function reportStart(): Promise<void> {
  const grid = new Grid<StartFigures>(startUnits);
  const contestants = placements.map((placement) => ({
    name: `five services, ${placement}`,
    round: () => measureStart(placement),
  }));
  const empty = { name: "an empty Node process", round: measureEmptyProcess };
  grid.add("start", await measureInTurn([...contestants, empty], rounds));
  const middle = (figure: keyof StartFigures) => median(grid.read("start", "five services, process", figure));
  report("life-start", {
    ...{ rows: grid.rows, tables: [grid.table] },
    verdicts: [
      createVerdict("five services ready, by process", middle("readyMs"), { atMost: 1500 }, "ms"),
      createVerdict(
        "memory of one replica, its share of what all use (PSS)",
        middle("replicaPssMiB"),
        { atMost: 60 },
        "MiB",
      ),
      createVerdict(
        "memory of one replica, what all use counted in each (RSS)",
        middle("replicaRssMiB"),
        { atMost: 60 },
        "MiB",
      ),
    ],
    setup: { rounds, services: "workloads/fan-out.ts", memory: "a second after the app was ready" },
  });
}

async function reportKill(): Promise<void> {
  const victims: readonly (Victim & { readonly name: string })[] = [
    { name: "the only replica", api: "work", replicas: 1 },
    { name: "one of two replicas", api: "work", replicas: 2 },
    { name: "the only replica, calls may be repeated", api: "repeatable", replicas: 1 },
    { name: "one of two replicas, calls may be repeated", api: "repeatable", replicas: 2 },
  ];
  const grid = new Grid<KillFigures>(killUnits);
  const contestants = victims.map((victim) => ({ name: victim.name, round: () => measureKill(victim) }));
  grid.add("SIGKILL", await measureInTurn(contestants, rounds));
  const repeatable = victims.filter(({ api }) => api === "repeatable");
  const verdicts = (["lostInFlight", "failedAfter"] as const).map((figure) => {
    const failed = repeatable.flatMap(({ name }) => grid.read("SIGKILL", name, figure));
    const claim = `calls that may be repeated: ${figure === "lostInFlight" ? "in flight" : "sent after the kill"}, and failed`;
    return createVerdict(
      claim,
      failed.reduce((sum, count) => sum + count, 0),
      { atMost: 0 },
      "",
    );
  });
  const most = (figure: keyof KillFigures, of: readonly (typeof victims)[number][]) =>
    Math.max(...of.map(({ name }) => median(grid.read("SIGKILL", name, figure))));
  const others = victims.filter(({ api }) => api === "work");
  verdicts.push(
    createVerdict("calls on the killed replica are answered", most("lostMs", others), { atMost: 50 }, "ms"),
    createVerdict("good answers again", most("goodAgainMs", victims), { atMost: 1000 }, "ms"),
  );
  report("life-kill", {
    ...{ rows: grid.rows, tables: [grid.table], verdicts },
    setup: { rounds, load: "a request of 100 ms each 20 ms", services: "workloads/faults.ts" },
  });
}

async function reportLeave(): Promise<void> {
  const servers = await Promise.all(placements.map((placement) => startEkiben({ file: "faults", placement })));
  try {
    const contestants = servers.map((server, index) => ({
      name: `${placements[index]}: from the client's leaving to the last service's signal, three hops away`,
      round: () => measureLeave(server),
    }));
    const figures = await measureInTurn(contestants, rounds);
    const rows = [...figures].map(([name, values]) => createRow(name, "ms", values));
    report("life-leave", { rows, verdicts: [], setup: { rounds, services: "workloads/faults.ts" } });
  } finally {
    await Promise.all(servers.map((server) => server.stop()));
  }
}
