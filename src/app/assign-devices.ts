import { fail } from "../failure/fail.js";

/** What replicas of one service want of the machine's GPUs. */
export interface DeviceWish {
  readonly service: string;
  readonly replicas: number;
  /** For each replica: 0, a fraction below 1 of one device, or a whole number of devices. */
  readonly gpu: number;
}

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
export function assignDevices(
  wishes: readonly DeviceWish[],
  devices: readonly number[],
): ReadonlyMap<string, readonly (readonly number[])[]> {
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
