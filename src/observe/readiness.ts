/** Readiness of an app for calls, and the reasons against it. */
export interface Readiness {
  readonly isReady: boolean;
  /** True when the app is about to stop: it still answers, but load balancers should send no more requests. */
  readonly isDraining?: boolean;
  readonly services: readonly ServiceReadiness[];
}

/** Reason why a service can't be called although a replica of it is ready. */
export interface Obstacle {
  readonly service: string;
  readonly problem: string;
}

/** Readiness of one service. */
export interface ServiceReadiness {
  readonly name: string;
  readonly isReady: boolean;
  readonly readyReplicas: number;
  readonly replicas: number;
  /** Reason why it is not ready. */
  readonly detail?: string;
  /**
   * Apis of its replicas that answer more slowly than calls arrive, with the reason. The service still counts as ready.
   */
  readonly strains?: readonly string[];
  /** Models that it needs, with their versions. */
  readonly models?: readonly string[];
}

/** Returns the readiness of an app, reduced by services that the answering replica can't reach. */
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
