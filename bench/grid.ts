import { divideByRound, median } from "./measure.ts";
import { createRow, type Row } from "./report.ts";

/** Name and unit of one figure of a round. */
export type Units<Figures> = { readonly [Name in keyof Figures]: readonly [name: string, unit: string] };

interface Cell<Figures> {
  readonly load: string;
  readonly contestant: string;
  readonly rounds: readonly Figures[];
}

/** Pair of contestants to compare. */
export type Pair = readonly [contestant: string, rival: string];

/** Ratios, to store and to print. */
export interface Comparison {
  readonly rows: readonly Row[];
  readonly table: readonly (readonly string[])[];
}

/** Figures of contestants under several loads, all measured in the same run. */
export class Grid<Figures extends Readonly<Record<string, number>>> {
  readonly #units: Units<Figures>;
  readonly #cells: Cell<Figures>[] = [];

  constructor(units: Units<Figures>) {
    this.#units = units;
  }

  /** Takes the result of `measureInTurn` for one load. */
  add(load: string, figures: ReadonlyMap<string, readonly Figures[]>): void {
    for (const [contestant, rounds] of figures) this.#cells.push({ load, contestant, rounds });
  }

  /** Returns one figure of one contestant under one load, round by round; empty when it was not measured. */
  read(load: string, contestant: string, figure: keyof Figures & string): number[] {
    const cell = this.#cells.find((own) => own.load === load && own.contestant === contestant);
    return cell?.rounds.map((round) => round[figure] as number) ?? [];
  }

  /** Returns the median of the ratios of each round; `NaN` when one of the two was not measured. */
  ratio(load: string, figure: keyof Figures & string, [contestant, rival]: Pair): number {
    return median(divideByRound(this.read(load, contestant, figure), this.read(load, rival, figure)));
  }

  /** Compares contestants round by round: one row for each pair, figure and load that both were measured with. */
  compare(figures: readonly (keyof Figures & string)[], pairs: readonly Pair[]): Comparison {
    const loads = [...new Set(this.#cells.map(({ load }) => load))];
    const rows: Row[] = [];
    const table = [["", "", ...loads]];
    for (const [contestant, rival] of pairs) {
      for (const figure of figures) {
        const [what] = this.#units[figure];
        const line = loads.map((load) => {
          const rivals = this.read(load, rival, figure);
          const ratios = divideByRound(this.read(load, contestant, figure), rivals);
          if (rivals.length === 0 || ratios.length === 0) return "";
          const row = createRow(`${load}: ${what}, ${contestant} to ${rival}`, "x", ratios);
          rows.push(row);
          return `${format(row.value)} x`;
        });
        table.push([`${contestant} to ${rival}`, what, ...line]);
      }
    }
    return { rows, table };
  }

  get rows(): Row[] {
    const names = Object.keys(this.#units);
    return this.#cells.flatMap(({ load, contestant, rounds }) =>
      names.map((name) => {
        const [what, unit] = this.#units[name] as readonly [string, string];
        return createRow(
          `${load}: ${contestant}: ${what}`,
          unit,
          rounds.map((round) => round[name] as number),
        );
      }),
    );
  }

  /** Formats medians: a line of headings, then one line for each contestant and load. */
  get table(): string[][] {
    const names = Object.keys(this.#units);
    const headings = names.map((name) => (this.#units[name] as readonly string[]).join(" "));
    const lines = this.#cells.map(({ load, contestant, rounds }) => [
      load,
      contestant,
      ...names.map((name) => format(median(rounds.map((round) => round[name] as number)))),
    ]);
    return [["", "", ...headings], ...lines];
  }
}

function format(value: number): string {
  if (!Number.isFinite(value)) return "-";
  return value >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));
}
