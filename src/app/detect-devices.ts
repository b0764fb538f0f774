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
  if (visible !== undefined) return visible.split(",").map(Number).filter(Number.isInteger);
  try {
    return readdirSync(driverFolder).map((_, id) => id);
  } catch {
    return [];
  }
}
