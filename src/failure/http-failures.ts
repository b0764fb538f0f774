import { list, optionText, row, show } from "./failure-row.js";

/** Failures of HTTP requests. */
export const httpFailures = {
  unknown_route: row<{ method: string; path: string; known: readonly string[] }>({
    code: "not_found",
    text: (d) => `there is nothing at ${d.method} ${d.path}; apis: ${list(d.known)}`,
    fix: "See /docs or /openapi.json for what is served.",
  }),
  method_not_allowed: row<{ method: string; path: string; allow: string }>({
    code: "unimplemented",
    httpStatus: 405,
    text: (d) => `${d.path} answers ${d.allow}, not ${d.method}`,
    fix: "Use a method that the message names.",
  }),
  invalid_json: row<{ problem: string }>({
    code: "invalid_argument",
    text: (d) => `the body is not JSON: ${d.problem}`,
    fix: "Send valid JSON. NaN, Infinity, comments and trailing commas are not JSON.",
  }),
  forbidden_key: row<{ key: string }>({
    code: "invalid_argument",
    text: (d) => `the body has a key ${d.key}, which is refused at every level`,
    fix: "Rename the key.",
  }),
  body_too_deep: row<{ maxBodyDepth: number }>({
    code: "invalid_argument",
    text: (d) => `the body is nested more than ${d.maxBodyDepth} levels deep`,
    fix: "Send a flatter value.",
  }),
  too_many_values: row<{ maxBodyValues: number }>({
    code: "out_of_range",
    httpStatus: 413,
    text: (d) => `the body holds more than ${d.maxBodyValues} JSON values`,
    fix: "Send long lists of numbers as a tensor in base64 or .npy, send less at once, or raise http.maxBodyValues.",
  }),
  too_many_fields: row<{ maxFields: number }>({
    code: "out_of_range",
    httpStatus: 413,
    text: (d) => `the body holds an object with more than ${d.maxFields} fields`,
    fix: "Send a list of pairs, send less at once, or raise http.maxBodyValues: one object may have a sixteenth as many fields.",
  }),
  inexact_number: row<{ path: string; number: string }>({
    code: "invalid_argument",
    text: (d) =>
      `the number ${d.number} at ${d.path} would lose digits: a JSON number can't carry this integer exactly`,
    fix: "Send its digits as text, in quotes, and accept text in the schema: z.coerce.bigint(), z.string(); an int64 tensor takes both.",
  }),
  body_too_large: row<{ maxBodyBytes: number }>({
    code: "out_of_range",
    httpStatus: 413,
    text: (d) => `the body is larger than ${d.maxBodyBytes} bytes`,
    fix: "Send less, or raise http.maxBodyBytes.",
  }),
  no_room_for_body: row<{ folder: string; bytes: number; problem: string }>({
    code: "resource_exhausted",
    httpStatus: 507,
    text: (d) =>
      `a large body or file could not be stored: writing to ${d.folder} failed after ${d.bytes} bytes: ${d.problem}`,
    fix: "Free space in the folder of temporary files, or set TMPDIR to a folder on a larger disk. Retry later, or send less.",
  }),
  body_timeout: row<{ timeoutMs: number; from?: string | undefined }>({
    code: "deadline_exceeded",
    httpStatus: 408,
    text: (d) => `the body did not arrive within ${d.timeoutMs} ms (${optionText("http.bodyTimeoutMs", d.from)})`,
    fix: "Send the body at once, or raise http.bodyTimeoutMs.",
  }),
  invalid_line: row<{ line: number; problem: string }>({
    code: "invalid_argument",
    text: (d) => `line ${d.line} of the body: ${d.problem}`,
    fix: "Send one JSON value in each line, and end each line with a newline.",
  }),
  line_too_large: row<{ line: number; maxBodyBytes: number }>({
    code: "out_of_range",
    httpStatus: 413,
    text: (d) => `line ${d.line} of the body is longer than ${d.maxBodyBytes} bytes`,
    fix: "Send smaller items, one in each line, or raise http.maxBodyBytes.",
  }),
  stream_idle: row<{ idleMs: number; from?: string | undefined; waitingFor: readonly string[] }>({
    code: "deadline_exceeded",
    text: (d) =>
      `no data moved on the stream for ${d.idleMs} ms in either direction (${optionText("http.streamIdleMs", d.from)}); still waiting for ${list(d.waitingFor)}`,
    fix: "Send or yield items more often, or raise http.streamIdleMs (0 for no limit). An api that is named twice may wait for itself: raise its maxConcurrent.",
  }),
  header_too_large: row<{ maxHeaderBytes: number }>({
    code: "out_of_range",
    httpStatus: 431,
    text: (d) => `the request line and headers are larger than ${d.maxHeaderBytes} bytes`,
    fix: "Send fewer or shorter headers, or raise http.maxHeaderBytes.",
  }),
  header_timeout: row<{ timeoutMs: number; setBy: string }>({
    code: "deadline_exceeded",
    httpStatus: 408,
    text: (d) => `the headers did not arrive within ${d.timeoutMs} ms (${d.setBy})`,
    fix: "Send the request line and headers at once. The limit is the smaller one of http.bodyTimeoutMs and 15 s.",
  }),
  malformed_request: row<{ problem: string }>({
    code: "invalid_argument",
    text: (d) => `the request is not valid HTTP: ${d.problem}`,
    fix: "Use an HTTP/1.1 client, and percent-encode paths.",
  }),
  host_not_allowed: row<{ host: string }>({
    code: "permission_denied",
    httpStatus: 421,
    text: (d) => `the request is for host ${show(d.host)}, and this server listens on this machine alone`,
    fix: "Call it as localhost or 127.0.0.1. To let it answer to another name, such as that of a proxy in front, list the name in http.allowedHosts.",
  }),
  too_many_connections: row<Record<never, never>>({
    code: "unavailable",
    text: () => "all connections are in use (http.maxConnections)",
    fix: "Retry with backoff, call over fewer connections, add replicas, or raise http.maxConnections.",
  }),
  missing_body: row<Record<never, never>>({
    code: "invalid_argument",
    text: () => "the request has no body and this api takes an input",
    fix: "Send the input as the body, with its content-type.",
  }),
  unreadable_body: row<{ problem: string }>({
    code: "invalid_argument",
    text: (d) => `the body can't be read: ${d.problem}`,
    fix: "Send the whole body, encoded as its headers say.",
  }),
  unsupported_media_type: row<{ contentType: string; accepted?: readonly string[] }>({
    code: "invalid_argument",
    httpStatus: 415,
    text: (d) => {
      const given = d.contentType === "" ? "content-type is missing" : `content-type ${d.contentType}`;
      return d.accepted === undefined
        ? `${given}; no parser of this route takes it`
        : `${given}; this api takes ${list(d.accepted)}`;
    },
    fix: "Name the body's type, for example -H 'content-type: application/json' with curl.",
  }),
  unsupported_content_encoding: row<{ encoding: string }>({
    code: "invalid_argument",
    httpStatus: 415,
    text: (d) => `content-encoding ${d.encoding}; bodies are not decoded`,
    fix: "Send the body without content-encoding, or decode it before ekiben: in a proxy, or in a Fastify preParsing hook.",
  }),
  unsupported_transfer_encoding: row<{ encoding: string }>({
    code: "unimplemented",
    httpStatus: 501,
    text: (d) => `transfer-encoding ${d.encoding}; only chunked is supported`,
    fix: "Send the body with transfer-encoding: chunked alone, or with a content-length.",
  }),
  not_acceptable: row<{ accept: string; offered: readonly string[] }>({
    code: "invalid_argument",
    httpStatus: 406,
    text: (d) => `accept: ${d.accept} matches no format of this api: ${list(d.offered)}`,
    fix: "Ask for one of these formats, or send no accept header.",
  }),
  invalid_header: row<{ header: string; value: string; expected: string }>({
    code: "invalid_argument",
    text: (d) => `header ${d.header} is ${show(d.value)}; expected ${d.expected}`,
    fix: "Fix or remove the header.",
  }),
  header_not_text: row<{ header: string; type: string }>({
    code: "internal",
    text: (d) => `a hook has set request header ${d.header} to a value of type ${d.type}`,
    fix: "Set a string, such as JSON.stringify(value), and parse it where it is read: headers are texts.",
  }),
  context_timeout: row<{ timeoutMs: number }>({
    code: "unavailable",
    text: (d) => `the app has not found out within ${d.timeoutMs} ms who is asking`,
    fix: "Look at what `context` of the app file waits for, or raise http.contextTimeoutMs.",
  }),
  invalid_context: row<{ path: string; what: string }>({
    code: "internal",
    text: (d) =>
      `the value that \`context\` of the app file returned can't travel with the calls: ${d.path} is ${d.what}`,
    fix: "Return plain JSON data: texts, finite numbers, booleans, null, lists and objects, 16 KiB at most. Return a date as a text or a number.",
  }),
  credentials_missing: row<{ expected: string; challenge?: string }>({
    code: "unauthenticated",
    hasNoStack: true,
    text: (d) => `the request does not say who is asking; expected ${d.expected}`,
    fix: "Send the key or the token in the header that the message names.",
  }),
  credentials_refused: row<{ problem: string; challenge?: string }>({
    code: "unauthenticated",
    hasNoStack: true,
    text: (d) => d.problem,
    fix: "Send a key or a token that is valid now.",
  }),
  credentials_unavailable: row<{ what: string }>({
    code: "unavailable",
    text: (d) => `${d.what} can't be read now, so nobody can be let in`,
    fix: "Look in the log for the reason; it has the file or the address.",
  }),
  cookie_of_other_site: row<{ cookie: string; origin: string }>({
    code: "permission_denied",
    hasNoStack: true,
    text: (d) => `a page of another site${d.origin === "" ? "" : `, ${d.origin},`} may not use the cookie ${d.cookie}`,
    fix: "Send the token in the authorization header, or name the origin of the page in cookieOrigins of jwt().",
  }),
  auth_misconfigured: row<{ what: string; problem: string }>({
    code: "failed_precondition",
    text: (d) => `${d.what}: ${d.problem}`,
    fix: 'Fix the options in the app file: see "Who is the user" in the how-to pages.',
    fixFor: (d) =>
      d.problem.includes("package jose") ? "Run `npm install jose`: ekiben does not include it." : undefined,
  }),
  response_refused: row<{ what: string; problem: string }>({
    code: "internal",
    text: (d) => `currentCall().response can't set ${d.what}: ${d.problem}`,
    fix: 'Set it in the api of the entry service that the request called, before its output or first item: see "The response" in the guide, Over HTTP.',
  }),
  invalid_multipart: row<{ problem: string }>({
    code: "invalid_argument",
    text: (d) => `the multipart body can't be read: ${d.problem}`,
    fix: "Send one part for each field: files as files, texts as text, other fields as JSON.",
  }),
  invalid_npy: row<{ problem: string }>({
    code: "invalid_argument",
    text: (d) => `the .npy body can't be read: ${d.problem}`,
    fix: "Send the output of numpy.save() for an array of numbers in C order; numpy.ascontiguousarray(x) makes one.",
  }),
  not_json: row<{ path: string; what: string }>({
    code: "internal",
    text: (d) => `the answer can't be written as JSON: ${d.path} is ${d.what}`,
    fix: "Return finite numbers and plain data, or let callers ask for .npy with accept: application/x-npy.",
  }),
};
