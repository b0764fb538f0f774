// The script of the docs page: reads openapi.json and shows every api.
import { drawCredentials } from "./credentials.js";
import { type OpenApiDocument, readApis } from "./documented-api.js";
import { drawApi, kindOf } from "./draw-api.js";
import { el } from "./element.js";
import { setDocument } from "./schema.js";

/** URL of the app, which a proxy may have given a path of its own. */
const base = new URL(location.pathname.replace(/\/?docs\/?$/, "/"), location.origin);

markScrolling(document.querySelector<HTMLElement>(".graph"));
await showApis();

async function showApis(): Promise<void> {
  const place = document.getElementById("apis") as HTMLElement;
  try {
    const openApi = await readOpenApi();
    setDocument(openApi);
    const apis = readApis(openApi);
    // The page may be on another port than the apis.
    const apiBase = new URL(openApi.servers?.[0]?.url ?? ".", new URL("openapi.json", base));
    const sections = apis.map((api) => drawApi(openApi, api, apiBase));
    const nothing = el("p", { class: "api quiet" }, "This service has no apis.");
    const asksWho = apis.some(({ operation }) => "401" in (operation.responses ?? {}));
    place.replaceChildren(
      ...(asksWho ? [drawCredentials(apiBase)] : []),
      ...(sections.length > 0 ? sections : [nothing]),
    );
    const links = new Map(
      apis.map((api) => {
        const mark = kindOf(api) ? el("span", { class: "mark" }, kindOf(api)) : undefined;
        return [api.id, el("a", { href: `#${api.id}` }, api.path, mark)];
      }),
    );
    document.getElementById("contents")?.replaceChildren(...[...links.values()].map((link) => el("li", {}, link)));
    markCurrent(links);
    if (location.hash.length > 1) document.getElementById(location.hash.slice(1))?.scrollIntoView();
  } catch (error) {
    const again = el("button", { class: "small", onclick: showApis }, "Try again");
    const problem = `openapi.json could not be read: ${(error as Error).message}. `;
    place.replaceChildren(el("p", { class: "api" }, problem, again));
  }
}

async function readOpenApi(): Promise<OpenApiDocument> {
  const response = await fetch(new URL("openapi.json", base));
  if (!response.ok) throw new Error(`the server answered ${response.status}`);
  return (await response.json()) as OpenApiDocument;
}

/** Marks the link of the api that the reader has in view. */
function markCurrent(links: ReadonlyMap<string, HTMLElement>): void {
  const seen = new Set<string>();
  const update = (entries: readonly IntersectionObserverEntry[]) => {
    for (const { target, isIntersecting } of entries) {
      if (isIntersecting) seen.add(target.id);
      else seen.delete(target.id);
    }
    const current = [...links.keys()].find((id) => seen.has(id));
    for (const [id, link] of links) {
      if (id === current) link.setAttribute("aria-current", "true");
      else link.removeAttribute("aria-current");
    }
    const link = current === undefined ? undefined : links.get(current);
    link?.closest("ul")?.scrollTo({ left: link.offsetLeft - 48, behavior: "smooth" });
  };
  const observer = new IntersectionObserver(update, { rootMargin: "-12% 0px -55%" });
  for (const id of links.keys()) observer.observe(document.getElementById(id) as HTMLElement);
}

/** Shows on which sides there is more of the graph than is in view. */
function markScrolling(graph: HTMLElement | null): void {
  const view = graph?.querySelector("div");
  const picture = graph?.querySelector("img");
  const hint = graph?.parentElement?.querySelector("figcaption");
  if (!graph || !view || !picture || !hint) return;
  const update = () => {
    const [right, below] = [view.scrollWidth - view.clientWidth, view.scrollHeight - view.clientHeight];
    // Sizes are rounded.
    graph.classList.toggle("more-right", view.scrollLeft < right - 1);
    graph.classList.toggle("more-below", view.scrollTop < below - 1);
    hint.hidden = right <= 1 && below <= 1;
  };
  view.addEventListener("scroll", update, { passive: true });
  const observer = new ResizeObserver(update);
  for (const each of [view, picture]) observer.observe(each);
}
