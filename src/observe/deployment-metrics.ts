/** How the replicas of one service are. */
export interface DeploymentFigures {
  readonly service: string;
  /** Every place of the service is down; see `restart.giveUpAfter`. */
  readonly isDown: boolean;
  /** Places, by state: `ready`, `out`, `starting`, `waiting`, `down`. */
  readonly states: Readonly<Record<string, number>>;
  /** Replicas that were started again. */
  readonly restarts: number;
  /** Calls in flight as their callers count them, and tasks that run or wait. */
  readonly demand: number;
}

/** The figures of a supervisor, in the form in which prom-client gives metrics as JSON. */
export function createDeploymentMetrics(all: readonly DeploymentFigures[]): readonly object[] {
  return [
    metric("ekiben_service_down", "1 while every replica of the service is down (restart.giveUpAfter), else 0.", {
      type: "gauge",
      values: all.map(({ service, isDown }) => ({ labels: { service }, value: isDown ? 1 : 0 })),
    }),
    metric("ekiben_replicas", "Replicas by state: ready, out, starting, waiting, down.", {
      type: "gauge",
      values: all.flatMap(({ service, states }) =>
        Object.entries(states).map(([state, value]) => ({ labels: { service, state }, value })),
      ),
    }),
    metric(
      "ekiben_service_demand",
      "Calls in flight to the service as their callers count them, and its tasks that run or wait; replicas.targetInFlight of it is meant for one replica.",
      { type: "gauge", values: all.map(({ service, demand }) => ({ labels: { service }, value: demand })) },
    ),
    metric("ekiben_replica_restarts_total", "Replicas that were started again.", {
      type: "counter",
      values: all.map(({ service, restarts }) => ({ labels: { service }, value: restarts })),
    }),
  ];
}

const metric = (name: string, help: string, rest: { readonly type: string; readonly values: readonly object[] }) => ({
  name,
  help,
  aggregator: "sum",
  ...rest,
});
