import { formatProgress } from "../app/app-models.js";
import { systemClock, type Timer } from "../base/clock.js";
import type { Graph } from "../graph/graph.js";
import type { AppEvent } from "../supervisor/replica-state.js";
import { authorFrames, formatDocs } from "./format-failure.js";
import { formatColumns, formatDuration, type Output } from "./terminal.js";

/** Interval of drawing the live list again while services start. */
const redrawMs = 100;

type State =
  | { readonly kind: "inside" }
  | { readonly kind: "waiting" }
  | { readonly kind: "fetching"; readonly text: string }
  | { readonly kind: "starting"; readonly since: number }
  | { readonly kind: "started"; readonly ms: number }
  | { readonly kind: "failed"; readonly ms: number; readonly hook: string };

interface Row {
  state: State;
  startedReplicas: number;
  readonly replicas: number;
}

/** Shows the start of the services: on a terminal a list that is redrawn, otherwise one line per event. */
export class ProgressView {
  readonly #output: Output;
  readonly #rows: Map<string, Row>;
  #drawnLines = 0;
  #isDrawing = false;
  #timer: Timer | undefined;

  /** @param replicas Returns the number of replicas of a service; 0 for an inline one: it starts with its callers. */
  constructor(graph: Graph, replicas: (service: string) => number, output: Output) {
    this.#output = output;
    this.#rows = new Map(
      [...graph.services.keys()].map((name) => [
        name,
        { state: { kind: replicas(name) === 0 ? "inside" : "waiting" }, startedReplicas: 0, replicas: replicas(name) },
      ]),
    );
  }

  /** Shows one event of the app. */
  show(event: AppEvent): void {
    if (event.kind === "notice") this.#print(`${this.#output.paint("yellow", "note:")} ${event.message}\n`);
    if (event.kind === "starting" || event.kind === "started" || event.kind === "failed") this.#note(event);
    if (event.kind === "fetching" || event.kind === "fetched") this.#noteModel(event);
    if (event.kind === "failed") this.#printFailure(event);
  }

  /** Calls `write`, which may print lines (such as the log), without breaking the list. */
  aside(write: () => void): void {
    this.#erase();
    write();
    if (this.#isDrawing) this.#draw();
  }

  /** Stops redrawing; the list stays on the terminal. */
  end(): void {
    this.#timer?.clear();
    this.#timer = undefined;
    this.#isDrawing = false;
    this.#drawnLines = 0;
  }

  #print(text: string): void {
    this.aside(() => this.#output.write(text));
  }

  #note(event: Extract<AppEvent, { kind: "starting" | "started" | "failed" }>): void {
    const row = this.#rows.get(event.service);
    if (row === undefined || row.state.kind === "failed") return;
    if (event.kind === "starting") {
      if (row.state.kind !== "starting") row.state = { kind: "starting", since: systemClock.now() };
    } else if (event.kind === "failed") row.state = { kind: "failed", ms: event.ms, hook: event.hook };
    else if (++row.startedReplicas >= row.replicas) row.state = { kind: "started", ms: event.ms };
    if (this.#output.isTerminal) this.#redraw();
    else if (row.state.kind === "started" || row.state.kind === "failed") this.#printLine(event.service, row);
  }

  /** Shows the fetch of a model, on a terminal only: the log has lines about it. */
  #noteModel(event: Extract<AppEvent, { kind: "fetching" | "fetched" }>): void {
    const row = this.#rows.get(event.service);
    if (row === undefined || !this.#output.isTerminal) return;
    if (event.kind === "fetched") row.state = { kind: "waiting" };
    else row.state = { kind: "fetching", text: formatProgress(event) };
    this.#redraw();
  }

  #redraw(): void {
    this.#isDrawing = true;
    this.#erase();
    this.#draw();
    this.#timer?.clear();
    this.#timer = undefined;
    if ([...this.#rows.values()].some(({ state }) => state.kind === "starting")) {
      this.#timer = systemClock.setTimer(() => this.#redraw(), redrawMs);
    }
  }

  #draw(): void {
    const lines = formatColumns([...this.#rows].map(([name, row]) => this.#cells(name, row)));
    this.#output.write(lines.map((line) => `${line}\n`).join(""));
    this.#drawnLines = lines.length;
  }

  #erase(): void {
    if (this.#drawnLines > 0) this.#output.write(`\u001b[${this.#drawnLines}A\u001b[0J`);
    this.#drawnLines = 0;
  }

  #printLine(name: string, row: Row): void {
    this.#output.write(`${this.#cells(name, row).join("  ").trimEnd()}\n`);
  }

  #cells(name: string, { state, startedReplicas, replicas }: Row): string[] {
    const { paint } = this.#output;
    const count =
      replicas <= 1 ? "" : state.kind === "started" ? `${replicas} replicas` : `${startedReplicas}/${replicas}`;
    const words = {
      inside: () => ["·", paint("dim", "inline, in its callers")],
      waiting: () => ["·", paint("dim", "waiting")],
      fetching: ({ text }: Extract<State, { kind: "fetching" }>) => ["○", `fetching ${paint("dim", text)}`],
      starting: ({ since }: Extract<State, { kind: "starting" }>) => [
        "○",
        `starting ${paint("dim", formatDuration(systemClock.now() - since))}`,
      ],
      started: ({ ms }: Extract<State, { kind: "started" }>) => [
        paint("green", "✓"),
        `started in ${formatDuration(ms)}`,
      ],
      failed: ({ ms, hook }: Extract<State, { kind: "failed" }>) => [
        paint("red", "✗"),
        `${paint("red", "failed")} in ${hook}() after ${formatDuration(ms)}`,
      ],
    };
    const [sign, text] = (words[state.kind] as (state: State) => [string, string])(state);
    return [`${sign} ${paint("bold", name)}`, text, count === "" ? "" : paint("dim", count)];
  }

  #printFailure({ error }: Extract<AppEvent, { kind: "failed" }>): void {
    const { paint } = this.#output;
    const thrown = error.cause instanceof Error ? error.cause : error;
    const lines = [
      `    ${error.message}`,
      ...authorFrames(thrown).map((frame) => paint("dim", `      ${frame}`)),
      ...(error.fix === undefined ? [] : [`    ${paint("cyan", "fix:")} ${error.fix}`]),
      formatDocs(error.id, "    ", this.#output),
    ];
    this.#print(`${lines.filter((line) => line !== "").join("\n")}\n`);
  }
}
