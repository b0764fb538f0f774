import { readdirSync } from "node:fs";
import { fail } from "../failure/failures.js";

/** What replicas of one service want of the machine's GPUs. */
export interface DeviceWish {
  readonly service: string;
  readonly replicas: number;
  /** For each replica: 0, a fraction below 1 of one device, or a whole number of devices. */
  readonly gpu: number;
}

/** Device ids by service and replica index. */
export type AssignedDevices = ReadonlyMap<string, readonly (readonly number[])[]>;

/** Binary sums of decimal fractions are off by less: ten tenths still are one. */
const tolerance = 1e-9;

/**
 * Gives every replica its GPUs: whole ones of its own, or a share of one where the shares sum to 1 at most.
 *
 * Devices are handed out in their order, whole ones first. Shares are packed, the largest first, each onto the first device
 * with room, so that as many devices as possible stay free; in rare cases another order would have needed one device less.
 *
 * @returns Service → for each replica the ids of its devices, in the order of `wishes`; empty lists for those that want none.
 * @throws {ServingError} `too_few_devices` with what all of them want together, and the first service that gets none.
 */
export function assignDevices(wishes: readonly DeviceWish[], devices: readonly number[]): AssignedDevices {
  const whole = wishes.filter(({ gpu }) => gpu >= 1);
  const shared = wishes.filter(({ gpu }) => gpu > 0 && gpu < 1).sort((a, b) => b.gpu - a.gpu);
  const places = new Map<string, readonly (readonly number[])[]>();
  let taken = 0;
  for (const { service, replicas, gpu } of whole) {
    places.set(
      service,
      times(replicas, (i) => times(gpu, (j) => taken + i * gpu + j)),
    );
    taken += replicas * gpu;
  }
  const loads: number[] = [];
  for (const { service, replicas, gpu } of shared) {
    places.set(
      service,
      times(replicas, () => [taken + takeShare(loads, gpu)]),
    );
  }
  const wanted = taken + loads.length;
  if (wanted > devices.length) {
    const [service = ""] = [...places].find(([, own]) => own.flat().some((place) => place >= devices.length)) ?? [];
    throw fail("too_few_devices", { service, wanted, available: devices.length });
  }
  return new Map(
    wishes.map(({ service, replicas }) => {
      const own = places.get(service) ?? times(replicas, () => []);
      return [service, own.map((ids) => ids.map((place) => devices[place] as number))];
    }),
  );
}

/** Adds a share to the first device with room, or to one more; returns which. */
function takeShare(loads: number[], share: number): number {
  const roomy = loads.findIndex((load) => load + share <= 1 + tolerance);
  const index = roomy === -1 ? loads.length : roomy;
  loads[index] = (loads[index] ?? 0) + share;
  return index;
}

const times = <T>(count: number, create: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => create(index));

/** Where the NVIDIA driver lists its devices. */
const driverFolder = "/proc/driver/nvidia/gpus";

/** Ids of the GPUs that may be handed out: those the app names, else `CUDA_VISIBLE_DEVICES`, else all the driver lists. */
export function detectDevices(
  named: "auto" | readonly number[],
  env: Readonly<Record<string, string | undefined>>,
): readonly number[] {
  if (named !== "auto") return named;
  const visible = env["CUDA_VISIBLE_DEVICES"];
  if (visible !== undefined) return readIds(visible);
  try {
    return readdirSync(driverFolder).map((_, id) => id);
  } catch {
    return [];
  }
}

/** CUDA sees the devices named before the first name that is none: `""` and `"-1"` hide all of them. */
function readIds(visible: string): readonly number[] {
  const names = visible.split(",").map((name) => name.trim());
  const end = names.findIndex((name) => !/^\d+$/.test(name));
  return names.slice(0, end < 0 ? undefined : end).map(Number);
}

/** Cores that one service declared. */
export interface CoreWish {
  readonly service: string;
  readonly replicas: number;
  /** For each replica; `undefined` where the author declared none, which then counts for nothing. */
  readonly cpu: number | undefined;
}

/**
 * Says that replicas will compete for cores: when what services declared, over all their replicas, is more than there are.
 *
 * Services that declare nothing do not count: most wait for others rather than compute, and five of them on a laptop are no
 * mistake.
 *
 * @returns One sentence with the numbers, for the notices at start; `undefined` when there is nothing to say.
 */
export function formatCoreExcess(wishes: readonly CoreWish[], cores: number): string | undefined {
  const declared = wishes.flatMap(({ service, replicas, cpu }) =>
    cpu === undefined ? [] : [{ service, replicas, cpu }],
  );
  const wanted = round(declared.reduce((sum, { replicas, cpu }) => sum + replicas * cpu, 0));
  if (wanted <= cores) return undefined;
  const parts = [...declared]
    .sort((a, b) => b.replicas * b.cpu - a.replicas * a.cpu)
    .map(({ service, replicas, cpu }) => `${service} ${replicas} x ${round(cpu)}`);
  return (
    `services ask for ${wanted} cores in all (${parts.join(", ")}); this machine has ${cores}: ` +
    "replicas that compute at the same time slow one another down"
  );
}

/** Thousandths are the finest that can be declared; sums of them should read so. */
const round = (value: number): number => Math.round(value * 1000) / 1000;
