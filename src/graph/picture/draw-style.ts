import { fonts } from "./draw-text.js";
import type { Badge } from "./format-service.js";

/** `"auto"` follows the reader's system. */
export type Theme = "auto" | "light" | "dark";

interface Palette {
  readonly panel: string;
  readonly panelEdge: string;
  readonly card: string;
  readonly cardEdge: string;
  readonly text: string;
  readonly muted: string;
  readonly accent: string;
  readonly line: string;
  /** Fill and text of each badge, and of the mark of a stream. */
  readonly badges: Readonly<Record<Badge["kind"] | "stream", readonly [fill: string, text: string]>>;
}

/** Text has a contrast of at least 4.5 to 1 on what it stands on. */
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

/** The style sheet of a picture. Every rule stands under `.ekiben-graph`, so that the SVG may be put into a page. */
export function formatStyle(theme: Theme): string {
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
