import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { statusByCode } from "../src/failure/serving-error.js";
import { endReasons } from "../src/supervisor/replica-state.js";
import { readCodeBlocks } from "./read-markdown.js";

const root = join(import.meta.dirname, "..");
const blocks = readCodeBlocks(join(root, "docs/how-to/alerts.md"));
const rules = blocks.find(({ code }) => code.startsWith("# ekiben.rules.yml"))?.code ?? "";
const alerts = rules.split(/^ {6}- alert: /m).slice(1);

/** Labels of each metric, as the reference lists them. */
const metrics = new Map(
  readFileSync(join(root, "docs/reference/metrics.md"), "utf8")
    .split("\n")
    .flatMap((line): [string, { type: string; labels: string[] }][] => {
      const [, name, type, labels] = /^\| `(ekiben_\w+)` \| (\w+) \| ([^|]*) \|/.exec(line) ?? [];
      if (name === undefined || type === undefined || labels === undefined) return [];
      return [[name, { type, labels: [...labels.matchAll(/`(\w+)`/g)].map(([, label = ""]) => label) }]];
    }),
);

function expressionOf(alert: string): string {
  const [, inline, block] = /^ {8}expr: (?:\|\n((?: {10}.*\n)+)|(.*)\n)/m.exec(alert) ?? [];
  return inline ?? block ?? "";
}

describe("the rules of the page Alerts", () => {
  it("are one group of alerts, each with its parts", () => {
    assert.match(rules, /^# ekiben\.rules\.yml\ngroups:\n {2}- name: ekiben\n {4}rules:\n {6}- alert: /);
    assert.ok(alerts.length >= 10, `${alerts.length} alerts`);
    for (const alert of alerts) {
      assert.match(
        alert,
        /^[A-Z]\w+\n {8}expr: (?:\|\n(?: {10}.*\n)+|[^\n]+\n) {8}for: \d+m\n {8}labels: \{ severity: (?:page|ticket) \}\n {8}annotations:\n {10}summary: "[^"\n]+"\n$/,
      );
    }
  });

  it("use metrics and labels that ekiben has", () => {
    assert.ok(metrics.size > 20, `${metrics.size} metrics`);
    for (const alert of alerts) {
      const expression = expressionOf(alert);
      if (expression.startsWith("up{")) continue;
      const used = [...expression.matchAll(/ekiben_\w+/g)].map(([name]) => name.replace(/_(bucket|sum|count)$/, ""));
      assert.ok(used.length > 0, alert);
      const known = used.map((name) => metrics.get(name));
      assert.ok(
        known.every((metric) => metric !== undefined),
        `${used} in ${alert}`,
      );
      const labels = new Set(["instance", "job", ...known.flatMap((metric) => metric?.labels ?? [])]);
      if (known.some((metric) => metric?.type === "histogram")) labels.add("le");
      const grouped = [...expression.matchAll(/by \(([^)]*)\)/g)].flatMap(([, list = ""]) => list.split(", "));
      const matched = [...expression.matchAll(/(\w+)=~?"/g)].map(([, label = ""]) => label);
      for (const label of [...grouped, ...matched]) assert.ok(labels.has(label), `${label} in ${alert}`);
    }
  });

  it("ask for reasons, states and codes that there are", () => {
    const known: Readonly<Record<string, readonly string[]>> = {
      reason: endReasons,
      code: ["ok", ...Object.keys(statusByCode)],
      state: ["ready", "out", "starting", "waiting", "down", "draining"],
      outcome: ["completed", "failed", "canceled", "retried", "given_back", "lost"],
    };
    const asked = [...rules.matchAll(/(reason|code|state|outcome)=~?"([^"]+)"/g)];
    assert.ok(asked.length > 4);
    for (const [, label = "", values = ""] of asked) {
      for (const value of values.split("|")) assert.ok(known[label]?.includes(value), `${label} ${value}`);
    }
  });

  it("say which alert a reader should look at", () => {
    const page = readFileSync(join(root, "docs/how-to/alerts.md"), "utf8");
    const advice = page.slice(page.indexOf("## What to do"), page.indexOf("## A test"));
    for (const alert of alerts) {
      const [name = ""] = alert.split("\n");
      assert.ok(advice.includes(name), name);
    }
  });

  const hasPromtool = spawnSync("promtool", ["--version"]).status === 0;
  it("pass promtool, where there is one", { skip: !hasPromtool }, () => {
    const folder = mkdtempSync(join(tmpdir(), "ekiben-rules-"));
    try {
      writeFileSync(join(folder, "rules.yml"), rules);
      const { status, stdout, stderr } = spawnSync("promtool", ["check", "rules", join(folder, "rules.yml")]);
      assert.equal(status, 0, `${stdout}${stderr}`);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});
