/** A child of an element. `undefined` and `""` are left out; lists are flattened. */
export type Child = Node | string | undefined | readonly Child[];

type Listener = (event: any) => unknown;
type Attributes = Readonly<Record<string, string | number | boolean | Listener | undefined>>;

/**
 * Makes an element. Text becomes text nodes, never HTML: an author or a server may have written it.
 *
 * @param attributes `true` writes an empty attribute, `false` and `undefined` none; `on…` adds a listener.
 */
export function el<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes,
  ...children: readonly Child[]
): HTMLElementTagNameMap[Tag] {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value === undefined || value === false) continue;
    if (typeof value === "function") node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : String(value));
  }
  node.append(...flatten(children));
  return node;
}

function flatten(children: readonly Child[]): (Node | string)[] {
  return children.flatMap((child) => {
    if (child === undefined || child === "") return [];
    return Array.isArray(child) ? flatten(child) : [child as Node | string];
  });
}
