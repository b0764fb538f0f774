import { row } from "./failure-row.js";

/** Makes a key in the form that a key file holds. Shown in fixes. */
const keyCommand = "`(umask 077; openssl rand -base64 32 > edge.key)`";

/** Failures of services that are called from other machines. */
export const edgeFailures = {
  edge_unsecured: row<{ address: string }>({
    code: "failed_precondition",
    text: (d) =>
      `${d.address} can be reached from other machines, and neither a certificate nor an edge key says who may call there`,
    fix: `Give both sides the same key: --edge-key-file edge.key, made by ${keyCommand}. Or give certificates: --tls-cert, --tls-key and --tls-ca. For callers on this machine alone: --listen 127.0.0.1:7000.`,
  }),
  edge_options_clash: row<{ problem: string }>({
    code: "failed_precondition",
    text: (d) => d.problem,
    fix: "Give tls.cert and tls.key, and tls.ca unless the certificate is self-signed; or edgeKeyFile alone.",
  }),
  edge_file_unusable: row<{ file: string; problem: string }>({
    code: "failed_precondition",
    text: (d) => `${d.file}, which secures calls between machines, can't be used: ${d.problem}`,
    fix: `Make the file readable for this user alone. A certificate and its key are PEM; a key file has a key of at least 32 random characters in each line, as ${keyCommand} makes one.`,
  }),
  caller_refused: row<{ problem: string }>({
    code: "permission_denied",
    httpStatus: 503,
    text: (d) => `the connection was refused: ${d.problem}`,
    fix: "Give caller and callee the same edge key, or certificates of the authority in tls.ca that are valid today; check the time of day of both machines.",
  }),
  listen_missing: row<{ service: string }>({
    code: "failed_precondition",
    text: (d) => `${d.service} alone is to run here (service), and no address says where its callers reach it`,
    fix: "Give the address: --listen 0.0.0.0:7000, or --listen 127.0.0.1:7000 for callers on this machine. To serve it over HTTP instead, name it after the file: ekiben serve app.ts:Ranker.",
  }),
};
