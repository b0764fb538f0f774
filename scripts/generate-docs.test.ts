import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { optionFlags } from "../src/cli/command.js";
import { commands } from "../src/cli/commands.js";
import { failures } from "../src/failure/failures.js";
import { flagOf, variableOf } from "../src/options/option.js";
import { options } from "../src/options/options.js";
import { formatCliPage } from "./reference/cli-page.js";
import { formatFailuresPage } from "./reference/failures-page.js";
import { formatMetricsPage } from "./reference/metrics-page.js";
import { formatOptionsPage } from "./reference/options-page.js";
import { repositoryRoot } from "./repository.js";

const page = (name: string) => readFileSync(join(repositoryRoot, "docs/reference", name), "utf8");
const headings = (text: string) => [...text.matchAll(/^### `?([\w.]+)`?$/gm)].map(([, name]) => name);

describe("docs/reference", () => {
  it("is what the tables say now", async () => {
    const advice = "run `npm run docs`";
    assert.equal(page("options.md"), formatOptionsPage(), advice);
    assert.equal(page("failures.md"), formatFailuresPage(), advice);
    assert.equal(page("cli.md"), formatCliPage(), advice);
    assert.equal(page("metrics.md"), await formatMetricsPage(), advice);
  });

  it("has every failure of the table and no other, each with its text and its fix", () => {
    const text = page("failures.md");
    assert.deepEqual(headings(text), Object.keys(failures));
    for (const [id, { fix }] of Object.entries(failures)) assert.ok(text.includes(fix), `the fix of ${id}`);
    assert.doesNotMatch(text, /undefined|\[object|NaN(?! *,)/);
  });

  it("has every option of the table and no other, each with its flag and its variable", () => {
    const text = page("options.md");
    assert.deepEqual(headings(text), [...options.keys()]);
    for (const option of options.values()) {
      const isOutside = option.sources.includes("command line");
      assert.equal(text.includes(`\`--${flagOf(option)}\``), isOutside, option.name);
      assert.equal(text.includes(`\`${variableOf(option)}\``), isOutside, option.name);
    }
  });

  it("is where defaults of options stand: no comment beside the table repeats one", () => {
    const isFile = /^(define|options|app)\b.*(?<!\.test)\.ts$/;
    const files = readdirSync(join(repositoryRoot, "src"), { recursive: true, encoding: "utf8" });
    const repeated = files
      .filter((file) => isFile.test(file))
      .flatMap((file) => {
        const lines = readFileSync(join(repositoryRoot, "src", file), "utf8").split("\n");
        const isDefault = (line: string) => /^\s*(\/?\*|\/\/).*\bdefaults? *:? *(is|of|to)? *["`]?\d/i.test(line);
        return lines.filter(isDefault).map((line) => `${file}: ${line.trim()}`);
      });
    assert.deepEqual(repeated, []);
  });

  it("has the labels of every metric", () => {
    const rows = [...page("metrics.md").matchAll(/^\| `(ekiben_\w+)` \| (counter|gauge|histogram) \| ([^|]*) \|/gm)];
    assert.ok(rows.length > 20);
    for (const [, name, , labels] of rows) assert.match(labels ?? "", /`(service|status)`/, name);
  });

  it("has every command and every flag", () => {
    const text = page("cli.md");
    const documented = [...text.matchAll(/^## ekiben (\w+)$/gm)].map(([, name]) => name);
    assert.deepEqual(
      documented,
      commands.map(({ name }) => name),
    );
    for (const { name } of [...optionFlags, ...commands.flatMap(({ flags }) => flags)]) {
      assert.match(text, new RegExp(`--(\\[no-\\])?${name}\\b`));
    }
  });
});
