import { type ChildProcess, fork } from "node:child_process";
import type { Logger } from "../base/logger.js";
import { findOwnModule } from "../base/shared-state.js";
import { fail } from "../failure/failures.js";
import { childArguments } from "../placement/process.js";
import type { FromStandIn, StandInAnswers, StandInOrder, ToStandIn } from "../runtime/stand-in-main.js";
import type { App } from "./start-app.js";

/** Constructor arguments of `StandIn`. */
interface StandInDeps extends StandInOrder {
  /** Bound socket on which entry replicas answer. */
  readonly handle: unknown;
  readonly log: Logger;
  readonly answer: <What extends keyof StandInAnswers>(what: What) => Promise<StandInAnswers[What]>;
}

/**
 * Answers 503 on the socket of the entry replicas while none of them is ready.
 *
 * The supervisor can't do so itself: once it has accepted on a socket, it can't leave the socket to others without
 * closing it. So the stand-in is a small process that lives only as long as it is needed. It ends when its channel
 * closes, as replicas do.
 */
export class StandIn {
  readonly #deps: StandInDeps;
  #child: ChildProcess | undefined;

  constructor(deps: StandInDeps) {
    this.#deps = deps;
  }

  start(): void {
    const { handle, log, answer, paths, host, allowedHosts, certificate } = this.#deps;
    const { tlsCert, tlsKey } = certificate;
    const child = fork(findOwnModule("runtime/stand-in-main"), [], { execArgv: childArguments() });
    const send = (message: ToStandIn, socket?: unknown) => {
      if (child.connected) child.send(message, socket as never, () => {});
    };
    child.on("error", (error) =>
      log.warn({ err: error }, "stand-in failed: connections wait until an entry replica is ready"),
    );
    child.on("message", (message: FromStandIn) => {
      if (message.kind === "up") {
        if (this.#child === child)
          send({ kind: "listen", paths, host, allowedHosts, certificate: { tlsCert, tlsKey } }, handle);
        return;
      }
      const { number, what } = message;
      answer(what).then(
        (value) => send({ kind: "answer", number, value }),
        (error: unknown) => send({ kind: "answer", number, error: String(error) }),
      );
    });
    this.#child = child;
  }

  /** Answers accepted connections, then ends the process. Resolves when it has ended. */
  async stop(): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
    const ended = new Promise((resolve) => child.once("exit", resolve));
    if (child.connected) child.send({ kind: "close" } satisfies ToStandIn, () => {});
    await ended;
  }
}

/** Answers a question of a stand-in for the entry replicas. */
export async function answerStandIn<What extends keyof StandInAnswers>(
  app: App,
  what: What,
): Promise<StandInAnswers[What]> {
  const answers: { readonly [W in keyof StandInAnswers]: () => Promise<StandInAnswers[W]> } = {
    readiness: app.readiness,
    metrics: app.metrics,
    failure: async () => createFailure(app),
  };
  return answers[what]();
}

/** Failure that a call of the entry service has now. */
function createFailure({ graph, plan, entryDown }: App): StandInAnswers["failure"] {
  const service = graph.entry;
  const down = entryDown();
  const replicas = plan.deployments.find(({ descriptor }) => descriptor.name === service)?.replicas ?? 1;
  const failure =
    down === undefined
      ? fail("no_ready_replica", { replicas }, { service })
      : fail("service_failed", { service, ...down, retryAfterMs: down.delayMs }, { service });
  const { message, code, id, details } = failure;
  const body = { error: message, code, id, service, api: "", details };
  return { body, retryAfter: Math.max(1, Math.ceil((down?.delayMs ?? 0) / 1000)) };
}
