import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Path of a Unix socket, in a folder that `remove` deletes. */
export function createAddress(): { readonly address: string; readonly remove: () => void } {
  const folder = mkdtempSync(join(tmpdir(), "ekiben-test-"));
  return { address: join(folder, "s.sock"), remove: () => rmSync(folder, { recursive: true, force: true }) };
}

/** Makes two ends of a Unix socket. */
export async function joinSockets(): Promise<readonly [net.Socket, net.Socket]> {
  const { address, remove } = createAddress();
  const server = net.createServer();
  server.listen(address);
  await once(server, "listening");
  const accepted = once(server, "connection") as Promise<[net.Socket]>;
  const one = net.connect(address);
  await once(one, "connect");
  const [two] = await accepted;
  server.close();
  remove();
  return [one, two];
}
