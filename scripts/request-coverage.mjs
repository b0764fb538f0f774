// Loaded into each process of an app: at each SIGUSR2 it writes the functions of dist/ that have run since the previous
// one.
import { writeFileSync } from "node:fs";
import { Session } from "node:inspector";
import { join } from "node:path";

const dist = new URL("../dist/", import.meta.url).href;
const session = new Session();
session.connect();
session.post("Profiler.enable");
session.post("Profiler.startPreciseCoverage", { callCount: true, detailed: false });
let takes = 0;

process.on("SIGUSR2", () => {
  session.post("Profiler.takePreciseCoverage", (error, coverage) => {
    if (error) throw error;
    const files = coverage.result
      .filter(({ url, functions }) => url.startsWith(dist) && functions.some(({ ranges }) => ranges[0].count > 0))
      .map(({ url }) => url.slice(dist.length).replace(/\.js$/, ".ts"));
    writeFileSync(join(process.env.REQUEST_COVERAGE, `${process.pid}-${takes++}`), JSON.stringify(files));
  });
});
