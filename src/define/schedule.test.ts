import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Cron } from "croner";
import { z } from "zod";
import { planApp } from "../app/plan-app.js";
import type { ServingError } from "../failure/serving-error.js";
import { task } from "./api.js";
import { findScheduleProblem, readSchedule, type Schedule, type ScheduledContract } from "./schedule.js";
import { Service } from "./service.js";

const at = (text: string): number => Date.parse(text);
const show = (time: number): string => new Date(time).toISOString().slice(0, 19);
const read = (contract: ScheduledContract): Schedule => readSchedule(contract) as Schedule;

describe("a schedule", () => {
  it("of a period is planned at its multiples since 1970", () => {
    const { latest, next, text } = read({ every: "15m" });
    assert.equal(text, "every 15m");
    assert.equal(show(latest(at("2026-11-29T10:14:59.999Z"))), "2026-11-29T10:00:00");
    assert.equal(show(latest(at("2026-11-29T10:15:00Z"))), "2026-11-29T10:15:00");
    assert.equal(show(next(at("2026-11-29T10:15:00Z"))), "2026-11-29T10:30:00");
    assert.equal(read({ every: 90_000 }).next(0), 90_000);
    for (const [every, ms] of [
      ["1s", 1000],
      ["2500ms", 2500],
      ["6h", 21_600_000],
      ["365d", 31_536_000_000],
    ] as const)
      assert.equal(read({ every }).next(0), ms, every);
  });

  it("of a cron expression is planned in its time zone, UTC unless it names one", () => {
    const utc = read({ cron: "0 3 * * *" });
    assert.equal(utc.text, "cron 0 3 * * * (UTC)");
    assert.equal(show(utc.next(at("2026-11-29T03:00:00Z"))), "2026-11-30T03:00:00");
    assert.equal(show(utc.latest(at("2026-11-29T03:00:00Z"))), "2026-11-29T03:00:00");
    assert.equal(show(utc.latest(at("2026-11-29T02:59:59Z"))), "2026-11-28T03:00:00");
    const rome = read({ cron: "0 3 * * *", timeZone: "Europe/Rome" });
    assert.equal(show(rome.next(at("2026-07-01T00:00:00Z"))), "2026-07-01T01:00:00");
    assert.equal(show(rome.next(at("2026-12-01T00:00:00Z"))), "2026-12-01T02:00:00");
  });

  it("finds the newest planned time however seldom it comes", () => {
    const now = at("2026-11-29T10:14:30Z");
    for (const [cron, time] of [
      ["* * * * * *", "2026-11-29T10:14:30"],
      ["*/10 * * * *", "2026-11-29T10:10:00"],
      ["0 0 1 * *", "2026-11-01T00:00:00"],
      ["30 6 4 7 *", "2026-07-04T06:30:00"],
      ["0 0 29 2 *", "2024-02-29T00:00:00"],
    ] as const)
      assert.equal(show(read({ cron }).latest(now)), time, cron);
  });

  it("finds it by halves, and not by a walk over all planned times since", (t) => {
    const nextRun = t.mock.method(Cron.prototype, "nextRun");
    const latest = (cron: string) => show(read({ cron }).latest(at("2026-11-29T12:00:00.500Z")));
    assert.equal(latest("* 9-17 * * 1-5"), "2026-11-27T17:59:00");
    assert.equal(latest("*/7 * 9-17 * * 1-5"), "2026-11-27T17:59:56");
    assert.equal(latest("* * * * * *"), "2026-11-29T12:00:00");
    assert.ok(nextRun.mock.callCount() < 150, `${nextRun.mock.callCount()} times were computed`);
  });

  it("is none without every and cron", () => {
    assert.equal(readSchedule({}), undefined);
    assert.equal(findScheduleProblem({}), undefined);
  });
});

describe("a wrong schedule", () => {
  const input = z.string();
  const wrong: readonly [ScheduledContract, field: string, problem: RegExp][] = [
    [{ every: "15 minutes" }, "every", /^every is "15 minutes"; expected 1s to 365d, as "90s", "15m"/],
    [{ every: 999 }, "every", /^every is 999; /],
    [{ every: "366d" }, "every", /^every is "366d"; /],
    [{ every: Number.NaN }, "every", /^every is null; /],
    [{ every: "1h", cron: "0 3 * * *" }, "cron", /either every or cron/],
    [{ every: "1h", timeZone: "Europe/Rome" }, "timeZone", /no effect on every/],
    [{ timeZone: "Europe/Rome" }, "timeZone", /no effect without every or cron/],
    [{ scheduleInput: 1 }, "scheduleInput", /no effect without every or cron/],
    [{ cron: "0 3 * *" }, "cron", /^cron is "0 3 \* \*": it has 4 fields, not 5 or 6/],
    [{ cron: "@never" }, "cron", /it has 1 field, not 5 or 6/],
    [{ cron: "61 3 * * *" }, "cron", /^cron is "61 3 \* \* \*": /],
    [{ cron: "0 0 30 2 *" }, "cron", /no such time ever comes/],
    [{ cron: 5 as never }, "cron", /expected a text/],
    [{ cron: "0 3 * * *", timeZone: "Mars/Base" }, "timeZone", /there is no time zone "Mars\/Base"/],
    [{ every: "1h", input }, "scheduleInput", /needs scheduleInput/],
    [{ every: "1h", scheduleInput: 1 }, "scheduleInput", /takes no input/],
  ];
  for (const [contract, field, problem] of wrong) {
    it(`names the field and what is expected: ${JSON.stringify({ ...contract, input: undefined })}`, () => {
      const found = findScheduleProblem(contract);
      assert.equal(found?.field, field);
      assert.match(found?.problem ?? "", problem);
    });
  }

  it("is a fault of the graph, with class, field and fix", () => {
    class Clerk extends Service() {
      nightly = task({ output: z.number(), cron: "0 25 * * *" }, () => 1);
      hourly = task({ input: z.string(), output: z.number(), every: "1h", scheduleInput: "all" }, () => 1);
    }
    assert.throws(
      () => planApp(Clerk, { flags: {}, env: {} }),
      (error: ServingError) => {
        const [fault, ...others] = error.details["faults"] as Record<string, string>[];
        assert.deepEqual([fault?.["service"], fault?.["field"], others], ["Clerk", "nightly.cron", []]);
        assert.match(fault?.["fix"] ?? "", /cron: "0 3 \* \* \*"/);
        return true;
      },
    );
  });
});
