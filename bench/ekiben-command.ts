import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { findFreePorts } from "./free-ports.ts";
import { type ServerCommand, ServerProcess } from "./server-process.ts";

export const placements = ["inline", "thread", "process"] as const;
export type Placement = (typeof placements)[number];

const files = {
  w1: import.meta.resolve("./workloads/w1.ts"),
  w2: import.meta.resolve("./workloads/w2.ts"),
  w3: import.meta.resolve("./workloads/w3.ts"),
  w5: import.meta.resolve("./workloads/w5.ts"),
  w6: import.meta.resolve("./workloads/w6.ts"),
  "fan-out": import.meta.resolve("./workloads/fan-out.ts"),
  faults: import.meta.resolve("./workloads/faults.ts"),
  tasks: import.meta.resolve("./workloads/tasks.ts"),
  "deep-chain": import.meta.resolve("./workloads/deep-chain.ts"),
  star: import.meta.resolve("./workloads/star.ts"),
  overload: import.meta.resolve("./workloads/overload.ts"),
  payload: import.meta.resolve("./workloads/payload.ts"),
  soak: import.meta.resolve("./workloads/soak.ts"),
};

/** File of `workloads/` to serve, and its settings. */
export interface EkibenServer {
  readonly file: keyof typeof files;
  readonly placement: Placement;
  readonly port: number;
  /** Additional flags of `ekiben serve`. */
  readonly flags?: readonly string[] | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
}

/** Makes the command `ekiben serve` as a user would type it, but without the access log. */
export function createEkibenCommand({ file, placement, port, flags = [], env = {} }: EkibenServer): ServerCommand {
  const main = join(import.meta.dirname, "../dist/cli/main.js");
  const own = ["--placement", placement, "--port", String(port), "--host", "127.0.0.1", "--no-http-access-log"];
  return {
    command: process.execPath,
    args: [main, "serve", fileURLToPath(files[file]), ...own, ...flags],
    ...{ port, readyPath: "/readyz", cwd: import.meta.dirname, env },
  };
}

export async function startEkiben(server: Omit<EkibenServer, "port">): Promise<ServerProcess> {
  const [port = 0] = await findFreePorts(1);
  return ServerProcess.start(createEkibenCommand({ ...server, port }));
}
