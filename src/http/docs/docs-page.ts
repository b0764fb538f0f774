import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { ownFolder } from "../../base/shared-state.js";
import { escapeXml } from "../../graph/picture/draw-text.js";

/** Texts of the docs page. The page itself reads the apis from `/openapi.json`. */
interface DocsDeps {
  readonly title: string;
  /** `""` for none. */
  readonly version: string;
  /** Plain text; `""` for none. */
  readonly description: string;
  /** Picture of the graph, as `drawGraph` returns it. */
  readonly graphSvg: string | undefined;
  /** True when the server has `/metrics`. Default true. */
  readonly hasMetrics?: boolean;
}

/**
 * Folder of the page's script and style sheet, which `scripts/build-package.ts` builds from `docs-page/`. The path is
 * the same from `dist` and from `src`: a run from source shows the page of the last build.
 */
const builtFolder = join(ownFolder, "../dist/docs-page");

/** Reads a file of the page. @throws The error of the file system when the package has not been built. */
export function readDocsPageFile(name: string): Promise<string> {
  return readFile(join(builtFolder, name), "utf8");
}

const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="4" fill="#4f46e5"/><path d="M3 3h4v10H3zm6 0h4v5H9zm0 7h4v3H9z" fill="#fff"/></svg>`;

/**
 * Makes the page at `GET /docs`: every api with its schemas, and a form to call it.
 *
 * All its addresses are relative, so it also works behind a proxy that adds a path.
 */
export function createDocsPage({ title, version, description, graphSvg, hasMetrics = true }: DocsDeps): string {
  const name = escapeXml(title);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${name} – API</title>
<link rel="icon" href="${dataUrl(icon)}">
<link rel="stylesheet" href="docs/docs-page.css">
<script type="module" src="docs/docs-page.js"></script>
</head>
<body>
<a class="skip" href="#apis">Skip to the apis</a>
<div class="page">
<nav aria-label="Apis">
<p class="brand">${name}</p>
<ul id="contents"></ul>
<p class="links"><a href="openapi.json">openapi.json</a>${hasMetrics ? '<a href="metrics">metrics</a>' : ""}<a href="healthz">health</a></p>
</nav>
<main>
<header>
<h1>${name}</h1>${line("version", version)}${line("lede", description)}${figure(graphSvg)}
</header>
<div id="apis" tabindex="-1"><p class="api quiet">Reading openapi.json …</p></div>
<noscript><p class="api">This page lists the apis with JavaScript. They are all in <a href="openapi.json">openapi.json</a>.</p></noscript>
</main>
</div>
</body>
</html>
`;
}

const line = (name: string, text: string): string =>
  text.trim() === "" ? "" : `\n<p class="${name}">${escapeXml(text.trim())}</p>`;

/**
 * Shows the picture as an image: its style stays separate, it runs no script, and it follows the reader's colour
 * scheme.
 */
const figure = (svg: string | undefined): string =>
  svg === undefined
    ? ""
    : `
<figure>
<div class="graph"><div tabindex="0" role="region" aria-label="Graph of the services"><img src="${dataUrl(svg)}" alt="Graph of the services"></div></div>
<figcaption hidden>Scroll to see the rest of the graph.</figcaption>
</figure>`;

const dataUrl = (svg: string): string => `data:image/svg+xml;base64,${Buffer.from(svg).toString("base64")}`;
