import { didYouMean, list, row } from "./failure-row.js";

/** Failures of the command line and of programs that embed ekiben. */
export const hostFailures = {
  unknown_command: row<{ command: string; known: readonly string[]; nearest?: string | undefined }>({
    code: "invalid_argument",
    text: (d) => `there is no command ${d.command}${didYouMean(d.nearest)}; there are ${list(d.known)}`,
    fix: "Run `ekiben --help`.",
  }),
  invalid_flag: row<{ problem: string; renamedTo?: readonly string[] }>({
    code: "invalid_argument",
    text: (d) => d.problem,
    fix: "Run the command with --help to see its flags.",
    fixFor: ({ renamedTo = [] }) => (renamedTo.length === 0 ? undefined : `Use ${list(renamedTo)}.`),
  }),
  file_not_found: row<{ file: string }>({
    code: "not_found",
    text: (d) => `there is no file ${d.file}`,
    fix: "Name the file that exports the service: ekiben serve path/to/service.ts",
  }),
  module_failed: row<{ file: string; error: string }>({
    code: "failed_precondition",
    text: (d) => `${d.file} could not be loaded: ${d.error}`,
    fix: "Fix the file, or install the packages it imports.",
  }),
  env_file_unreadable: row<{ file: string; problem: string }>({
    code: "failed_precondition",
    text: (d) => `the environment file ${d.file} can't be read: ${d.problem}`,
    fix: "Let this user read the file, name another one by --env-file, or read none: --no-env-file.",
  }),
  env_variables_not_taken: row<{ file: string; names: readonly string[] }>({
    code: "failed_precondition",
    text: (d) =>
      `${d.file} sets ${d.names.join(", ")}, which an environment file may not: they decide which code is loaded`,
    fix: "Remove them from the file, and set them for the command itself, in the shell or in its service unit.",
  }),
  secret_missing: row<{ name: string }>({
    code: "failed_precondition",
    text: (d) => `the secret ${d.name} is missing: neither ${d.name} nor ${d.name}_FILE is set`,
    fix: "Set the variable, or set the one with _FILE to the path of a file that holds the secret.",
  }),
  secret_unreadable: row<{ name: string; problem: string }>({
    code: "failed_precondition",
    text: (d) => `the secret ${d.name} can't be read: ${d.problem}`,
    fix: "Set one of the two variables: the one with _FILE to the path of a file that this user can read.",
  }),
  bundled_in: row<Record<never, never>>({
    code: "failed_precondition",
    text: () => "ekiben itself is part of a bundle, in which its replicas do not find the files they start from",
    fix: "Keep ekiben out of the bundle and install it as a package: esbuild with --packages=external, or --external:ekiben; in other bundlers the option for external packages.",
  }),
  not_a_module: row<{ file: string }>({
    code: "failed_precondition",
    text: (d) => `${d.file} is loaded as CommonJS and has import statements`,
    fix: "Name the file .mjs or .mts; a .js or .ts file may keep its name if package.json says so: `npm pkg set type=module`.",
  }),
  typescript_needs_loader: row<{ file: string; node: string; need?: string | undefined }>({
    code: "failed_precondition",
    text: (d) =>
      d.need === undefined
        ? `${d.file} is TypeScript and Node ${d.node} can't run it without a loader`
        : `${d.file} needs a loader, since Node ${d.node} only strips types: ${d.need}`,
    fix: "Install tsx (`npm install tsx`); ekiben then loads TypeScript with it. Or write only TypeScript that Node 22.18 and newer run: whole file names in imports, no enums, no aliases.",
  }),
  no_socket_folder: row<{ refused: readonly { readonly place: string; readonly problem: string }[] }>({
    code: "failed_precondition",
    text: (d) =>
      `there is no folder for the sockets between replicas: ${d.refused.map(({ place, problem }) => `${place}: ${problem}`).join("; ")}`,
    fix: "Set TMPDIR to a folder with a short path, on a disk of this machine, in which this user may create files; or run everything with placement inline.",
  }),
  port_in_use: row<{ host: string; port: number; isAdmin?: boolean | undefined; isEdge?: boolean | undefined }>({
    code: "unavailable",
    text: (d) => `port ${d.port} on ${d.host} is already in use`,
    fix: "Stop the other program, or choose a port: --port 3001 (0 takes a free one).",
    fixFor: (d) =>
      d.isAdmin === true
        ? "Stop the other program, or choose another port than that of the apis: --admin-port 3001 (0 takes a free one)."
        : d.isEdge === true
          ? `Stop the other program, or let callers connect to another port: --listen ${d.host}:${d.port + 1}, and \`at\` in their apps.`
          : undefined,
  }),
  address_unavailable: row<{ host: string; port: number; code: string }>({
    code: "failed_precondition",
    text: (d) => `can't listen on ${d.host} port ${d.port}: this machine has no such address (${d.code})`,
    fix: "Give an address of this machine: --host 0.0.0.0 is all of IPv4, :: all of both families, 127.0.0.1 this machine alone.",
  }),
  port_denied: row<{ host: string; port: number; code: string }>({
    code: "failed_precondition",
    text: (d) => `can't listen on ${d.host} port ${d.port}: this user lacks the permission (${d.code})`,
    fix: "Choose a port from 1024 on, such as --port 3000, and map it to the public port in a proxy or the container.",
  }),
  host_unknown: row<{ host: string; port: number; code: string }>({
    code: "failed_precondition",
    text: (d) => `can't listen on ${d.host} port ${d.port}: no such name or address is known here (${d.code})`,
    fix: "Check the spelling of --host, or give an address: 0.0.0.0 is every address of this machine, 127.0.0.1 this machine alone.",
  }),
  cannot_listen: row<{ host: string; port: number; problem: string }>({
    code: "failed_precondition",
    text: (d) => `can't listen on ${d.host} port ${d.port}: ${d.problem}`,
    fix: "Choose another --host or --port.",
  }),
  certificate_unusable: row<{ tlsCert: string; tlsKey: string; problem: string }>({
    code: "failed_precondition",
    text: (d) =>
      `the certificate ${d.tlsCert || "(none)"} with the key ${d.tlsKey || "(none)"} can't be used: ${d.problem}`,
    fix: "Set http.tlsCert and http.tlsKey to PEM files that this user can read and that belong together. The certificate comes first in its file, those of its issuers follow. http.http2 needs both.",
  }),
  plugins_failed: row<{ error: string }>({
    code: "failed_precondition",
    text: (d) => `\`fastify\`, of the app file or of serve(), failed: ${d.error}`,
    fix: "Fix the plugin or route that the stack shows. Start without `fastify` to see that the rest works.",
  }),
  route_taken: row<{ method: string; path: string; owner: string }>({
    code: "failed_precondition",
    text: (d) => `\`fastify\`, of the app file or of serve(), has a route ${d.method} ${d.path}, and so has ${d.owner}`,
    fix: "Give your route another path, or give the api another one by `route` in its contract.",
  }),
};
