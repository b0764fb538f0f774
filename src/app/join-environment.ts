import type { DeploymentPlan } from "../graph/plan.js";

/** How model runtimes learn how many threads are theirs. */
const threadVariables = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"];

/**
 * The environment of a replica: what it is granted, what its services ask for, and, with the last word, what the app itself was
 * started with. That is not `process.env`, to which the services in the app's own process have added theirs.
 */
export function joinEnvironment(
  { env, residence }: Pick<DeploymentPlan, "env" | "residence">,
  outside: NodeJS.ProcessEnv,
  cpuThreads: number,
): NodeJS.ProcessEnv {
  // Runtimes read these from the process, so those of a thread would say nothing.
  const threads = residence === "thread" ? [] : threadVariables.map((name) => [name, String(cpuThreads)] as const);
  return { ...Object.fromEntries([...threads, ...env]), ...outside };
}
