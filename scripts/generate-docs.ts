// Writes docs/reference/ from the tables in src/: options, failures, commands, metrics.   tsx scripts/generate-docs.ts
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { formatCliPage } from "./reference/cli-page.js";
import { formatFailuresPage } from "./reference/failures-page.js";
import { formatMetricsPage } from "./reference/metrics-page.js";
import { formatOptionsPage } from "./reference/options-page.js";
import { repositoryRoot } from "./repository.js";

const folder = join(repositoryRoot, "docs/reference");
mkdirSync(folder, { recursive: true });
writeFileSync(join(folder, "options.md"), formatOptionsPage());
writeFileSync(join(folder, "failures.md"), formatFailuresPage());
writeFileSync(join(folder, "cli.md"), formatCliPage());
writeFileSync(join(folder, "metrics.md"), await formatMetricsPage());
