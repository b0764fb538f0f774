import type { Issue } from "../failure/failures.js";
import { holdsMore, maxIssues } from "./find-misfits.js";
import { type CheckResult, createSchemaCheck, type Schema, type SchemaCheck } from "./schema.js";
import { isPlainList } from "./schema-form.js";

const ofSlice = /^\[(\d+)\]/;

/** An issue of a slice, as one of the list it was cut from. */
const shift = ({ path, message }: Issue, at: number): Issue => ({
  path: path.replace(ofSlice, (_, index: string) => `[${Number(index) + at}]`),
  message,
});

/** A list that holds more values is checked in slices: some 2 ms of a validator. */
const maxValuesAtOnce = 20_000;
/** Items of a slice. */
const sliceLength = 64;
/** Others have a turn after so many milliseconds. */
const turnMs = 4;

/**
 * The check of an input: a long list is checked a slice at a time, and others have their turns meanwhile. A validator can't be
 * interrupted, and a million values of a union take it 150 ms.
 *
 * Only where a slice fits as its list does: the schema says nothing but what the items are. The list must not change meanwhile.
 */
export function createPacedCheck(schema: Schema): SchemaCheck {
  const check = createSchemaCheck(schema);
  return (value) => {
    const isLong = Array.isArray(value) && value.length > sliceLength && holdsMore(value, maxValuesAtOnce);
    return isLong && isPlainList(schema) ? checkInSlices(check, value) : check(value);
  };
}

async function checkInSlices(check: SchemaCheck, list: readonly unknown[]): Promise<CheckResult> {
  const value: unknown[] = [];
  const issues: Issue[] = [];
  let turnEnd = performance.now() + turnMs;
  for (let at = 0; at < list.length && issues.length < maxIssues; at += sliceLength) {
    const checked = check(list.slice(at, at + sliceLength));
    const result = checked instanceof Promise ? await checked : checked;
    if (result.issues === undefined) value.push(...(result.value as unknown[]));
    else issues.push(...result.issues.map((issue) => shift(issue, at)));
    if (performance.now() < turnEnd) continue;
    await new Promise((resolve) => void setImmediate(resolve));
    turnEnd = performance.now() + turnMs;
  }
  return issues.length > 0 ? { issues: issues.slice(0, maxIssues) } : { value };
}
