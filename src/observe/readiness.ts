/** Whether an app may receive calls, and what stands in the way. */
export interface Readiness {
  readonly isReady: boolean;
  readonly services: readonly ServiceReadiness[];
}

export interface ServiceReadiness {
  readonly name: string;
  readonly isReady: boolean;
  readonly readyReplicas: number;
  readonly replicas: number;
  /** Why it is not ready, in words. */
  readonly detail?: string;
}
