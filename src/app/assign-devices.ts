import { readdirSync } from "node:fs";
import { fail } from "../failure/failures.js";

/** GPUs that the replicas of one service ask for. */
export interface DeviceWish {
  readonly service: string;
  readonly replicas: number;
  /** Share of each replica: 0, a fraction below 1 of one device, or a whole number of devices. */
  readonly gpu: number;
}

/** Device ids by service and replica index. */
export type AssignedDevices = ReadonlyMap<string, readonly (readonly number[])[]>;

/** Rounding error allowed in sums of decimal fractions: ten tenths still are one. */
const tolerance = 1e-9;

/**
 * Gives every replica its GPUs: whole devices of its own, or a share of one device whose shares sum to 1 at most.
 *
 * Devices are handed out in their order, whole ones first. Shares are packed, the largest first, each onto the first
 * device with room, so that as many devices as possible stay free. In rare cases another order would need one device
 * less.
 *
 * @returns Ids of the devices of each replica, by service, in the order of `wishes`; an empty list where none is
 *   asked for.
 * @throws {ServingError} `too_few_devices` with the sum of all wishes and the first service that gets no device.
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

/** Adds a share to the first device with room, or to one more. @returns The index of the device. */
function takeShare(loads: number[], share: number): number {
  const roomy = loads.findIndex((load) => load + share <= 1 + tolerance);
  const index = roomy === -1 ? loads.length : roomy;
  loads[index] = (loads[index] ?? 0) + share;
  return index;
}

const times = <T>(count: number, create: (index: number) => T): T[] =>
  Array.from({ length: count }, (_, index) => create(index));

/** Folder in which the NVIDIA driver lists its devices. */
const driverFolder = "/proc/driver/nvidia/gpus";

/** Finds the GPUs to hand out: those the app names, else `CUDA_VISIBLE_DEVICES`, else all that the driver lists. */
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

/** Reads ids up to the first invalid one, as CUDA does: `""` and `"-1"` hide all devices. */
function readIds(visible: string): readonly number[] {
  const names = visible.split(",").map((name) => name.trim());
  const end = names.findIndex((name) => !/^\d+$/.test(name));
  return names.slice(0, end < 0 ? undefined : end).map(Number);
}

/** Cores that one service declared. */
export interface CoreWish {
  readonly service: string;
  readonly replicas: number;
  /** Cores of each replica; `undefined` where the author declared none. Such a service is not counted. */
  readonly cpu: number | undefined;
}

/**
 * Formats a notice that replicas will compete for cores: the cores that services declared, over all their replicas,
 * exceed those of the machine.
 *
 * Services that declare none are not counted: most of them wait for others rather than compute, and five on a laptop
 * are no mistake.
 *
 * @returns One sentence with the numbers; `undefined` when the cores are enough.
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

/** Rounds to thousandths, the finest fraction that can be declared. */
const round = (value: number): number => Math.round(value * 1000) / 1000;
