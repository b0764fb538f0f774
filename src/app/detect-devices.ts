import { readdirSync } from "node:fs";

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
