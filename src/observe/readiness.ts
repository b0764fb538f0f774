/** Whether an app may receive calls, and what stands in the way. */
export interface Readiness {
  readonly isReady: boolean;
  /** It is about to stop, and is to be sent no more requests, though it still answers them. */
  readonly isDraining?: boolean;
  readonly services: readonly ServiceReadiness[];
}

/** Why a service can't be called although a replica of it is ready. */
export interface Obstacle {
  readonly service: string;
  readonly problem: string;
}

export interface ServiceReadiness {
  readonly name: string;
  readonly isReady: boolean;
  readonly readyReplicas: number;
  readonly replicas: number;
  /** Why it is not ready, in words. */
  readonly detail?: string;
  /** Which apis of which replicas answer less than is asked of them, and why: it is ready all the same. */
  readonly strains?: readonly string[];
}

/** What an app is ready for where some of its services can't be reached by whoever answers for it. */
export function addObstacles(readiness: Readiness, obstacles: readonly Obstacle[]): Readiness {
  if (obstacles.length === 0) return readiness;
  const services = readiness.services.map((own) => {
    const details = obstacles.flatMap(({ service, problem }) => (service === own.name ? [problem] : []));
    return details.length === 0
      ? own
      : { ...own, isReady: false, detail: [own.detail ?? [], details].flat().join("; ") };
  });
  return { isReady: false, services };
}
