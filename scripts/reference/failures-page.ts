import { type FailureRow, failures } from "../../src/failure/failures.js";
import { isRetryableCode, statusByCode } from "../../src/failure/serving-error.js";
import { code, formatTable, generatedNote } from "./markdown.js";

const introduction = `# Failures

Every failure ekiben itself raises, by its \`id\`. Authors throw more with \`new ServingError({ code, id, message, details })\`; those
have the same shape and arrive in the same way.

A client gets \`{ "error", "code", "id", "service", "api", "details" }\` with the HTTP status of the row; a program that uses
\`ekiben/client\`, and a calling service, get a \`ServingError\` with the same fields. \`{name}\` in a text below stands for what the case
at hand puts there; \`details\` has it under that name. Ids are public: none is renamed or used for anything else.

A failure is retryable when the same call may succeed if it is made again later: then \`retryable\` is \`true\`. That does not say
that it is safe: after \`replica_lost\` and \`connection_lost\` the call may have run. One that is masked over HTTP
(\`unhandled_error\`, whose text may say what should not leave the server) has an \`incident\` instead, which the log has too.
`;

/** Formats docs/reference/failures.md. */
export function formatFailuresPage(): string {
  const rows = Object.entries(failures as Record<string, FailureRow<never>>).map(([id, row]) => [id, row] as const);
  const overview = formatTable(
    ["id", "code", "HTTP", "retryable"],
    rows.map(([id, row]) => [
      `[${code(id)}](#${id})`,
      code(row.code),
      String(statusOf(row)),
      (row.retryable ?? isRetryableCode(row.code)) ? "yes" : "",
    ]),
  );
  const entries = rows.map(
    ([id, row]) => `### ${id}\n\n${code(row.code)}, HTTP ${statusOf(row)}\n\n> ${textOf(row)}\n\n${row.fix}\n`,
  );
  const codes = formatTable(
    ["code", "HTTP"],
    Object.entries(statusByCode).map(([name, status]) => [code(name), String(status)]),
  );
  return [
    generatedNote("src/failure/failures.ts"),
    "",
    introduction,
    "## Codes\n",
    codes,
    "\n## All failures\n",
    overview,
    "\n## Each failure\n",
    ...entries,
  ].join("\n");
}

const statusOf = (row: FailureRow<never>): number => row.httpStatus ?? statusByCode[row.code];

/** Formats the text of a row with `{name}` for each detail, and `{…}` for values computed from several details. */
function textOf(row: FailureRow<never>): string {
  const details = new Proxy({}, { get: (_, name) => createDetail(String(name)) });
  return String(row.text(details as never))
    .replaceAll("NaN", "{…}")
    .replace(/\s+/g, " ");
}

/**
 * Stands for a detail of any type: as text it is `{name}`, as a list it has one item, as an object it has all fields.
 */
function createDetail(name: string): unknown {
  const text = `{${name}}`;
  const item = new Proxy({}, { get: (_, field) => readText(field, text) ?? createDetail(String(field)) });
  const list = [item];
  return new Proxy(list, {
    get: (_, field) => {
      if (field === "length") return createDetail("…");
      const value: unknown = Reflect.get(list, field);
      if (field !== "toString" && typeof value === "function") return value.bind(list);
      return readText(field, text) ?? createDetail(String(field));
    },
  });
}

/** Names of the methods that JavaScript calls to convert a value to text. */
function readText(field: string | symbol, text: string): (() => string | number) | undefined {
  if (field === Symbol.toPrimitive) return (hint?: string) => (hint === "number" ? Number.NaN : text);
  return field === "toString" || field === "toJSON" ? () => text : undefined;
}
