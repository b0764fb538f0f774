import { resolve } from "node:path";
import { filePath, serviceName, socketAddress } from "./address-types.js";
import { row } from "./option.js";
import { anyText, integer, milliseconds, orWord } from "./value-types.js";

/** Makes a path that stays the same when a program changes its folder; `undefined` for none. */
function toPath(path: string): string | undefined {
  return path === "" ? undefined : resolve(path);
}

/** Options of calls between apps: one value for the whole app. */
export const edgeOptions = {
  service: row(serviceName, {
    default: "",
    text: "Service that runs here alone, with the services it calls that no other app runs. Its callers are other apps, which reach it at the address of listen; it has no HTTP apis.",
  }),
  listen: row(orWord("none", socketAddress), {
    default: "none",
    settle: (value) => (value === "none" ? undefined : value),
    text: "Address at which other apps call the service that runs here: the one of the option service, else the entry service. An address that other machines reach needs edgeKeyFile, or tls.cert. Probes and metrics are answered on adminPort, by default the port of listen plus 1000.",
  }),
  /** Certificates of calls between apps on several machines, for both sides. */
  tls: {
    cert: row(filePath, {
      default: "",
      settle: toPath,
      text: "PEM file with the certificate of this app, and those between it and its authority. Read again when it changes.",
    }),
    key: row(filePath, {
      default: "",
      settle: toPath,
      text: "PEM file with the private key of tls.cert. Read again when it changes.",
    }),
    ca: row(filePath, {
      default: "",
      settle: toPath,
      defaultText: "tls.cert, if it is self-signed",
      text: "PEM file with the certificates of the authorities: apps with a certificate that one of them has signed may call here, and are called. Read again when it changes.",
    }),
  },
  edgeKeyFile: row(filePath, {
    default: "",
    settle: toPath,
    text: "File with the key that callers and callees on several machines share, in place of certificates. With several lines, callers use the first, and each is accepted. Read again when it changes.",
  }),
  maxRemoteConnections: row(integer({ min: 1, max: 1_000_000 }), {
    default: 1024,
    text: "Connections of callers in other apps that one replica holds; one more is refused.",
  }),
  zone: row(anyText, {
    default: "",
    text: "Zone in which the app runs, for example that of the cloud. Calls to a service that runs elsewhere (at) stay in the zone while a replica there is ready and has free slots.",
  }),
  /** Links to services that run elsewhere. */
  remote: {
    resolveMs: row(milliseconds(100), {
      default: 5_000,
      text: "Time between two resolutions of the names in at; after a lost link they follow sooner.",
    }),
    connectTimeoutMs: row(milliseconds(1), {
      default: 5_000,
      text: "Longest time until a connection to an address in at is open and both sides have said hello; then the address rests and is tried again.",
    }),
  },
};
