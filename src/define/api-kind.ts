/** How an api answers: once, item by item, or once as a durable task. */
export type ApiKind = "unary" | "stream" | "task";
