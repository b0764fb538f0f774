import { join } from "node:path";
import { findFreePorts } from "./free-ports.ts";
import { type ServerCommand, ServerProcess } from "./server-process.ts";

export const placements = ["inline", "thread", "process"] as const;
export type Placement = (typeof placements)[number];

/** Which file of `workloads/` is served, and how. */
export interface EkibenServer {
  readonly file: string;
  readonly placement: Placement;
  readonly port: number;
  /** Further flags of `ekiben serve`. */
  readonly flags?: readonly string[];
}

/** `ekiben serve` as somebody would type it, but without its access log. */
export function createEkibenCommand({ file, placement, port, flags = [] }: EkibenServer): ServerCommand {
  const main = join(import.meta.dirname, "../dist/cli/main.js");
  const service = join(import.meta.dirname, "workloads", `${file}.ts`);
  const own = ["--placement", placement, "--port", String(port), "--host", "127.0.0.1", "--no-http-access-log"];
  return {
    command: process.execPath,
    args: [main, "serve", service, ...own, ...flags],
    ...{ port, readyPath: "/readyz", cwd: import.meta.dirname },
  };
}

export async function startEkiben(server: Omit<EkibenServer, "port">): Promise<ServerProcess> {
  const [port = 0] = await findFreePorts(1);
  return ServerProcess.start(createEkibenCommand({ ...server, port }));
}
