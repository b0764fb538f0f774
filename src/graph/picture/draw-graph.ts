import type { Graph } from "../graph.js";
import { createCard, drawCard } from "./draw-card.js";
import { escapeXml, fitText, fonts, measureText, type TextStyle } from "./draw-text.js";
import {
  type Badge,
  formatServices,
  type JoinedEdge,
  joinEdges,
  type PictureOptions,
  type ServiceText,
} from "./format-service.js";
import { layoutGraph, type PlacedEdge, type PlacedNode } from "./layout-graph.js";

/** Options of a drawing. */
interface DrawOptions extends PictureOptions {
  /** Colours. Default `"auto"`: light or dark, as the reader's system. */
  readonly theme?: Theme;
}

const margin = 28;
const stub = { width: 54, height: 26, gap: 34 };
const labelStyle: TextStyle = { font: "sans", size: 11 };
const maxLabelWidth = 130;
/** Characters of a type that fit the widest card, after an arrow. */
const maxTypeLength = 42;

/**
 * Draws a graph as an SVG document: HTTP on the left, then the entry service; each service is right of all its callers.
 *
 * The picture needs no font, script or file, adapts to light and dark pages, and is the same for the same graph.
 */
export function drawGraph(graph: Graph, { theme = "auto", ...options }: DrawOptions = {}): string {
  const services = formatServices(graph, options, maxTypeLength);
  const edges = joinEdges(graph).map((edge) => ({ ...edge, label: fitText(edge.label, maxLabelWidth, labelStyle) }));
  const cards = services.map(createCard);
  const layout = layoutGraph(
    cards.map(({ service, width, height }) => ({ id: service.name, width, height })),
    edges.map(({ from, to, label }) => ({
      from,
      to,
      labelWidth: label === "" ? 0 : measureText(label, labelStyle) + 8,
    })),
  );
  const left = margin + stub.width + stub.gap;
  const width = left + layout.width + margin + 8;
  const height = layout.height + 2 * margin + 8;
  const parts = [
    ...layout.edges.map((placed, i) => drawEdge(placed, (edges[i] as JoinedEdge).label)),
    ...layout.nodes.map((node, i) => drawCard(cards[i] as (typeof cards)[number], node)),
    drawStub(layout.nodes[0] as PlacedNode),
  ];
  const id = `ekiben-graph-${graph.entry.replace(/[^\w-]/g, "-")}`;
  return `<svg xmlns="http://www.w3.org/2000/svg" class="ekiben-graph" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" style="max-width:100%;height:auto" role="img" aria-labelledby="${id}-title ${id}-desc">
<title id="${id}-title">${escapeXml(`Graph of ${graph.entry}`)}</title>
<desc id="${id}-desc">${escapeXml(formatGraph(services, edges))}</desc>
<style>
${formatStyle(theme)}
</style>
<rect class="panel" x="0.5" y="0.5" width="${width - 1}" height="${height - 1}" rx="14"/>
<g transform="translate(${left} ${margin})">
${parts.join("\n")}
</g>
</svg>
`;
}

/** Draws horizontal runs joined by bends. Every line ends horizontally, so the arrow head points right. */
function drawEdge({ runs, label: at }: PlacedEdge, label: string): string {
  const path = runs.map(({ y, x0, x1 }, i) => {
    const previous = runs[i - 1];
    if (previous === undefined) return `M${x0} ${y}${x1 === x0 ? "" : `H${x1}`}`;
    const middle = (previous.x1 + x0) / 2;
    const bend = previous.y === y ? `H${x0}` : `C${middle} ${previous.y} ${middle} ${y} ${x0} ${y}`;
    return `${bend}H${i === runs.length - 1 ? x1 - 6 : x1}`;
  });
  const end = runs.at(-1) as (typeof runs)[number];
  const text =
    label === "" ? "" : `\n<text class="label muted" x="${at.x + 4}" y="${at.y - 5}">${escapeXml(label)}</text>`;
  return `<path class="line" d="${path.join("")}"/>${drawHead(end.x1, end.y)}${text}`;
}

const drawHead = (x: number, y: number) => `<path class="head" d="M${x - 1} ${y}l-8.5 -4.5v9z"/>`;

/** Draws the HTTP stub, where requests enter. */
function drawStub({ y, height }: PlacedNode): string {
  const middle = y + height / 2;
  const left = -stub.gap - stub.width;
  return (
    `<g class="http"><rect x="${left}" y="${middle - stub.height / 2}" width="${stub.width}" height="${stub.height}" rx="8"/>` +
    `<text x="${left + stub.width / 2}" y="${middle + 4}" text-anchor="middle">HTTP</text>` +
    `<path class="line" d="M${-stub.gap} ${middle}H-6"/>${drawHead(0, middle)}</g>`
  );
}

/** Describes the picture in words, for screen readers. */
function formatGraph(services: readonly ServiceText[], edges: readonly JoinedEdge[]): string {
  const sentences = services.map(({ name, isEntry }) => {
    const callees = edges.filter((edge) => edge.from === name).map((edge) => edge.to);
    const calls = callees.length === 0 ? "calls no other service" : `calls ${callees.join(", ")}`;
    return `${name}${isEntry ? " takes HTTP requests and" : ""} ${calls}.`;
  });
  return sentences.join(" ");
}

/** `"auto"` follows the reader's system. */
type Theme = "auto" | "light" | "dark";

interface Palette {
  readonly panel: string;
  readonly panelEdge: string;
  readonly card: string;
  readonly cardEdge: string;
  readonly text: string;
  readonly muted: string;
  readonly accent: string;
  readonly line: string;
  /** Fill and text colour of each badge, and of the mark of a stream. */
  readonly badges: Readonly<Record<Badge["kind"] | "stream", readonly [fill: string, text: string]>>;
}

/** Light colours. Text has a contrast of at least 4.5 to 1 to its background. */
const light: Palette = {
  panel: "#f6f8fa",
  panelEdge: "#d8dee4",
  card: "#ffffff",
  cardEdge: "#cdd5dd",
  text: "#1f2328",
  muted: "#59636e",
  accent: "#4f46e5",
  line: "#8b95a1",
  badges: {
    cpu: ["#ddf0ff", "#0758b0"],
    gpu: ["#dcf7e3", "#116329"],
    memory: ["#fdf1cd", "#7d4e00"],
    replicas: ["#f3e8ff", "#6e3ec2"],
    placement: ["#e9edf1", "#4b535d"],
    group: ["#ffe9e0", "#953800"],
    stream: ["#e6e6ff", "#4338ca"],
  },
};

const dark: Palette = {
  panel: "#0d1117",
  panelEdge: "#262c36",
  card: "#171c24",
  cardEdge: "#39414d",
  text: "#e6edf3",
  muted: "#9da7b3",
  accent: "#8f8cff",
  line: "#69737f",
  badges: {
    cpu: ["#122c48", "#79b8ff"],
    gpu: ["#12351f", "#6fdd8b"],
    memory: ["#3a2d0c", "#f0c052"],
    replicas: ["#2f1f4d", "#c8a6ff"],
    placement: ["#272e37", "#b4bec9"],
    group: ["#3d2117", "#ffa77c"],
    stream: ["#25235a", "#b3b0ff"],
  },
};

/** Style sheet of a picture. Every rule is scoped to `.ekiben-graph`, so that a page may embed the SVG. */
function formatStyle(theme: Theme): string {
  const shapes = [
    rule("text", `font-family:${fonts.sans}`),
    rule(".mono", `font-family:${fonts.mono}`),
    rule(".name", "font-size:15px;font-weight:600"),
    rule(".version", "font-size:11px"),
    rule(".api", "font-size:12px;font-weight:600"),
    rule(".type", "font-size:11px"),
    rule(".label", "font-size:11px;font-style:italic"),
    rule(".badge text", "font-size:11px;font-weight:500"),
    rule(".http text", "font-size:11px;font-weight:700;letter-spacing:.06em"),
    rule(".line", "fill:none;stroke-width:1.5;stroke-linecap:round"),
  ];
  if (theme !== "auto") return [...shapes, ...formatPalette(theme === "light" ? light : dark)].join("\n");
  const media = `@media (prefers-color-scheme: dark) {\n${formatPalette(dark).join("\n")}\n}`;
  return [...shapes, ...formatPalette(light), media].join("\n");
}

function formatPalette(palette: Palette): string[] {
  const { panel, panelEdge, card, cardEdge, text, muted, accent, line, badges } = palette;
  return [
    rule(".panel", `fill:${panel};stroke:${panelEdge}`),
    rule(".card", `fill:${card};stroke:${cardEdge}`),
    rule(".entry .card", `stroke:${accent};stroke-width:1.75`),
    rule(".rule", `stroke:${cardEdge}`),
    rule("text", `fill:${text}`),
    rule(".muted", `fill:${muted}`),
    rule(".line", `stroke:${line}`),
    rule(".head", `fill:${line}`),
    rule(".http rect", `fill:${accent}`),
    rule(".http text", `fill:${palette === light ? "#ffffff" : "#10102a"}`),
    rule(".http .line", `stroke:${accent}`),
    rule(".http .head", `fill:${accent}`),
    ...Object.entries(badges).flatMap(([kind, [fill, ink]]) => [
      rule(`.${kind} rect`, `fill:${fill}`),
      rule(`.${kind} text`, `fill:${ink}`),
    ]),
  ];
}

const rule = (selector: string, declarations: string) => `.ekiben-graph ${selector}{${declarations}}`;
