import { createHash } from "node:crypto";
import { escapeXml } from "../../graph/picture/draw-text.js";
import { docsScript } from "./docs-script.js";
import { docsStyle } from "./docs-style.js";

/** What stands on the docs page besides the apis, which the page itself reads from `/openapi.json`. */
export interface DocsDeps {
  readonly title: string;
  /** `""` for none. */
  readonly version: string;
  /** Plain text; `""` for none. */
  readonly description: string;
  /** As `drawGraph` gives it. */
  readonly graphSvg: string | undefined;
}

/** A page ready to be sent. */
export interface DocsPage {
  readonly html: string;
  /** Goes with the page as a header: it lets nothing run or load but the page's own parts and this server's answers. */
  readonly contentSecurityPolicy: string;
}

/**
 * Makes the page at `GET /docs`: every api with its schemas, and a form to call it.
 *
 * The page loads nothing but `openapi.json` from beside itself, so it also works behind a proxy that adds a path.
 */
export function createDocsPage(deps: DocsDeps): DocsPage {
  const policy = [
    "default-src 'none'",
    "connect-src 'self'",
    "img-src data: 'self'",
    `style-src '${hashOf(docsStyle)}'`,
    `script-src '${hashOf(docsScript)}'`,
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'self'",
  ];
  return { html: formatPage(deps), contentSecurityPolicy: policy.join("; ") };
}

const hashOf = (text: string): string => `sha256-${createHash("sha256").update(text).digest("base64")}`;

const icon = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16"><rect width="16" height="16" rx="4" fill="#4f46e5"/><path d="M3 3h4v10H3zm6 0h4v5H9zm0 7h4v3H9z" fill="#fff"/></svg>`;

function formatPage({ title, version, description, graphSvg }: DocsDeps): string {
  const name = escapeXml(title);
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${name} – API</title>
<link rel="icon" href="${dataUrl(icon)}">
<style>${docsStyle}</style>
</head>
<body>
<a class="skip" href="#apis">Skip to the apis</a>
<div class="page">
<nav aria-label="Apis">
<p class="brand">${name}</p>
<ul id="contents"></ul>
<p class="links"><a href="openapi.json">openapi.json</a><a href="metrics">metrics</a><a href="healthz">health</a></p>
</nav>
<main>
<header>
<h1>${name}</h1>${line("version", version)}${line("lede", description)}${figure(graphSvg)}
</header>
<div id="apis" tabindex="-1"><p class="api quiet">Reading openapi.json …</p></div>
<noscript><p class="api">This page lists the apis with JavaScript. They are all in <a href="openapi.json">openapi.json</a>.</p></noscript>
</main>
</div>
<script>${docsScript}</script>
</body>
</html>
`;
}

const line = (name: string, text: string): string =>
  text.trim() === "" ? "" : `\n<p class="${name}">${escapeXml(text.trim())}</p>`;

/** As an image the picture keeps its style to itself, can run nothing, and still follows the reader's colour scheme. */
const figure = (svg: string | undefined): string =>
  svg === undefined ? "" : `\n<figure tabindex="0"><img src="${dataUrl(svg)}" alt="Graph of the services"></figure>`;

const dataUrl = (svg: string): string => `data:image/svg+xml;base64,${Buffer.from(svg).toString("base64")}`;
