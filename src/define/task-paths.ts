/** What HTTP clients may ask about a task, each at a path below its own: those of BentoML's clients. */
export const taskPaths = { submit: "POST", status: "GET", get: "GET", cancel: "PUT", retry: "POST" } as const;

export type TaskPath = keyof typeof taskPaths;

/** The path of one of them: `"/train/submit"`. */
export const taskPath = (route: string, path: TaskPath): string => `${route === "/" ? "" : route}/${path}`;

/** All of them. */
export const listTaskPaths = (route: string): readonly string[] =>
  (Object.keys(taskPaths) as TaskPath[]).map((path) => taskPath(route, path));
