import { connect } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { createTaskBody, formatHostile, hostileBodies } from "../http/hostile-bodies.js";
import type { Random } from "../http/random.js";

/** One request, as its bytes. */
export interface Attack {
  readonly name: string;
  readonly bytes: Buffer;
}

/** Result of an attack. */
export interface AttackEnding {
  /** Status of the answer; 0 when the connection ended without one. */
  readonly status: number;
  readonly text: string;
  readonly hung: boolean;
}

/** Sends an attack on a connection of its own, and waits for the answer or the end. */
export function sendAttack(port: number, { bytes }: Attack, limitMs: number): Promise<AttackEnding> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    const chunks: Buffer[] = [];
    let size = 0;
    const end = (hung: boolean) => {
      clearTimeout(limit);
      socket.destroy();
      const text = Buffer.concat(chunks).toString("latin1");
      resolve({ status: Number(/^HTTP\/1\.1 (\d{3})/.exec(text)?.[1] ?? 0), text, hung });
    };
    const limit = setTimeout(end, limitMs, true);
    socket.on("data", (chunk) => {
      // The head and the beginning of the body suffice to judge the answer.
      if (size < 64 * 1024) chunks.push(chunk);
      size += chunk.length;
    });
    socket.on("error", () => {});
    socket.on("close", () => end(false));
    socket.write(bytes);
  });
}

/** Chooses a size below the default limit of a body, 16 MiB; small sizes more often than the largest. */
const sizes = [2_000, 2_000, 100_000, 100_000, 1 << 20, 4 << 20, 15 << 20];

/** Chooses an attack: a body that is cheap to send and, without limits, expensive to read. */
export function createAttack(random: Random): Attack {
  const create = random.chance(0.05) ? createTaskBody : random.pick(hostileBodies);
  const body = create(random, random.pick(sizes));
  return { name: `${body.name}, to ${body.path}`, bytes: formatHostile(body) };
}

/** Connection that sends a part of a request and then disconnects. */
export async function leaveHalfway(port: number, random: Random): Promise<void> {
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => {});
  const { bytes } = createAttack(random);
  socket.write(bytes.subarray(0, random.between(1, Math.min(bytes.length, 200_000))));
  await sleep(random.between(1, 200));
  if (random.chance(0.5)) socket.resetAndDestroy();
  else socket.destroy();
}
