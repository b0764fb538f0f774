import { escapeXml, fitText, measureText, type TextStyle } from "./draw-text.js";
import { type ApiText, type Badge, formatOutput, type ServiceText } from "./format-service.js";
import type { PlacedNode } from "./layout-graph.js";

// Sizes must be those of draw-style.ts.
const nameStyle: TextStyle = { font: "sans", size: 15, isBold: true };
const versionStyle: TextStyle = { font: "sans", size: 11 };
const apiStyle: TextStyle = { font: "mono", size: 12, isBold: true };
const typeStyle: TextStyle = { font: "mono", size: 11 };
const badgeStyle: TextStyle = { font: "sans", size: 11, isBold: true };

const padding = 16;
const headHeight = 42;
const nameHeight = 18;
const typeHeight = 15;
const apiGap = 9;
const badgeHeight = 20;
const badgeGap = 6;
/** Largest inner width of a card. Longer names and types are cut; the tooltip has the whole name. */
const maxInner = 300;
const minInner = 130;
/** Largest width of input and output on one line. */
const oneLineWidth = 232;
/** Offset in pixels of each card behind a service with several replicas. */
const stackStep = 4;

/** One line of an api: its name, or a piece of its types. */
interface TypeLine {
  readonly text: string;
}

/** Card of a service without a position: its texts and the size they need. */
interface Card {
  readonly service: ServiceText;
  readonly apis: readonly { readonly api: ApiText; readonly types: readonly TypeLine[] }[];
  readonly badges: readonly (readonly Badge[])[];
  readonly width: number;
  readonly height: number;
}

/** Lays out the texts of a service's card. */
export function createCard(service: ServiceText): Card {
  const apis = service.apis.map((api) => ({ api, types: breakTypes(api) }));
  const widths = [
    measureText(service.name, nameStyle) +
      (service.version === "" ? 0 : 12 + measureText(service.version, versionStyle)),
    ...apis.map(({ api }) => measureApi(api)),
    ...apis.flatMap(({ types }) => types.map(({ text }) => measureText(text, typeStyle))),
    ...service.badges.map(measureBadge),
  ];
  const inner = Math.min(maxInner, Math.max(minInner, ...widths));
  const badges = wrapBadges(service.badges, Math.max(inner, 200));
  const badgeWidths = badges.map((row) => row.reduce((sum, badge) => sum + measureBadge(badge) + badgeGap, -badgeGap));
  const height =
    headHeight +
    apis.reduce((sum, { types }) => sum + apiGap + nameHeight + types.length * typeHeight, 0) +
    badges.length * (badgeHeight + badgeGap) +
    (badges.length > 0 ? 10 : 0) +
    (apis.length + badges.length > 0 ? 10 : 0);
  return { service, apis, badges, width: Math.max(inner, ...badgeWidths) + 2 * padding, height };
}

/** Puts input and output on one line if they fit, else the output on a second line. */
function breakTypes({ input, output }: ApiText): TypeLine[] {
  const line = `${input} → ${output}`;
  if (measureText(line, typeStyle) <= oneLineWidth) return [{ text: line }];
  return [input, `→ ${output}`].map((text) => ({ text: fitText(text, maxInner, typeStyle) }));
}

function measureApi(api: ApiText): number {
  const route = shownRoute(api);
  return measureText(api.name, apiStyle) + measureMark(api) + (route === "" ? 0 : 16 + measureText(route, typeStyle));
}

/** Mark beside the name of an api that streams or is a task. */
const markOf = ({ isStream, isTask }: ApiText) => (isStream ? "stream" : isTask ? "task" : "");

const measureMark = (api: ApiText) => (markOf(api) === "" ? 0 : 8 + measureText(markOf(api), badgeStyle) + 16);

/** Route of an api if it differs from the api's name, else `""`. */
const shownRoute = ({ name, route }: ApiText) => (route === "" || route === `/${name}` ? "" : route);

const measureBadge = (badge: Badge) => Math.min(maxInner, measureText(badge.text, badgeStyle) + 16);

function wrapBadges(badges: readonly Badge[], width: number): Badge[][] {
  const rows: Badge[][] = [];
  let left = 0;
  for (const badge of badges) {
    const own = measureBadge(badge);
    if (own > left) {
      rows.push([]);
      left = width;
    }
    rows.at(-1)?.push(badge);
    left -= own + badgeGap;
  }
  return rows;
}

/** Draws a card at its position, as SVG. */
export function drawCard({ service, apis, badges }: Card, { x, y, width, height }: PlacedNode): string {
  const right = x + width - padding;
  const versionWidth = service.version === "" ? 0 : 12 + measureText(service.version, versionStyle);
  const name = fitText(service.name, width - 2 * padding - Math.min(versionWidth, 120), nameStyle);
  const version = fitText(
    service.version,
    Math.max(40, width - 2 * padding - 12 - measureText(name, nameStyle)),
    versionStyle,
  );
  const parts = [
    `<title>${escapeXml(formatTooltip(service))}</title>`,
    ...drawStack(service, { x, y, width, height }),
    `<rect class="card" x="${x}" y="${y}" width="${width}" height="${height}" rx="10"/>`,
    `<text class="name" x="${x + padding}" y="${y + 27}">${escapeXml(name)}</text>`,
  ];
  if (version !== "") {
    parts.push(`<text class="version muted" x="${right}" y="${y + 27}" text-anchor="end">${escapeXml(version)}</text>`);
  }
  let top = y + headHeight;
  if (apis.length > 0) parts.push(`<path class="rule" d="M${x + 0.5} ${top - 0.5}H${x + width - 0.5}"/>`);
  for (const { api, types } of apis) {
    top += apiGap;
    parts.push(...drawApi(api, x + padding, right, top));
    top += nameHeight;
    for (const { text } of types) {
      parts.push(`<text class="type mono muted" x="${x + padding}" y="${top + 11}">${escapeXml(text)}</text>`);
      top += typeHeight;
    }
  }
  top = y + height - 14 - badges.length * (badgeHeight + badgeGap) + badgeGap;
  for (const row of badges) {
    let left = x + padding;
    for (const badge of row) {
      parts.push(drawBadge(badge.kind, badge.text, left, top));
      left += measureBadge(badge) + badgeGap;
    }
    top += badgeHeight + badgeGap;
  }
  return `<g class="service${service.isEntry ? " entry" : ""}">\n${parts.join("\n")}\n</g>`;
}

/** Draws up to two cards behind, which show at a glance that there are several replicas. */
function drawStack({ maxReplicas }: ServiceText, at: Omit<PlacedNode, "id">): string[] {
  return [2, 1]
    .filter((step) => step < maxReplicas)
    .map((step) => {
      const shift = step * stackStep;
      return `<rect class="card" x="${at.x + shift}" y="${at.y + shift}" width="${at.width}" height="${at.height}" rx="10"/>`;
    });
}

/** Draws one api. The route is cut in favour of the name only when both are long. */
function drawApi(api: ApiText, left: number, right: number, top: number): string[] {
  const route = fitText(shownRoute(api), (right - left) * 0.4, typeStyle);
  const taken = measureMark(api) + (route === "" ? 0 : 16 + measureText(route, typeStyle));
  const name = fitText(api.name, right - left - taken, apiStyle);
  const parts = [`<text class="api mono" x="${left}" y="${top + 13}">${escapeXml(name)}</text>`];
  const mark = markOf(api);
  // Both marks share the style named `stream`.
  if (mark !== "") parts.push(drawBadge("stream", mark, left + measureText(name, apiStyle) + 8, top - 1));
  if (route !== "") {
    parts.push(
      `<text class="type mono muted" x="${right}" y="${top + 13}" text-anchor="end">${escapeXml(route)}</text>`,
    );
  }
  return parts;
}

function drawBadge(kind: string, text: string, x: number, y: number): string {
  const shown = fitText(text, maxInner - 16, badgeStyle);
  const width = measureText(shown, badgeStyle) + 16;
  return (
    `<g class="badge ${kind}"><rect x="${x}" y="${y}" width="${width}" height="${badgeHeight}" rx="${badgeHeight / 2}"/>` +
    `<text x="${x + width / 2}" y="${y + 14}" text-anchor="middle">${escapeXml(shown)}</text></g>`
  );
}

function formatTooltip(service: ServiceText): string {
  const title = [service.name, service.version].filter((part) => part !== "").join(" ");
  const apis = service.apis.map((api) => `${api.name}: ${api.input} → ${formatOutput(api)}`);
  return [title, service.description, ...apis].filter((line) => line !== "").join("\n");
}
