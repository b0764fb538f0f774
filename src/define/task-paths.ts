/**
 * Operations on a task over HTTP and their methods, each at a path below the task's own. BentoML's clients use the
 * same.
 */
export const taskPaths = { submit: "POST", status: "GET", get: "GET", cancel: "PUT", retry: "POST" } as const;

export type TaskPath = keyof typeof taskPaths;

/** Returns the path of an operation: `"/train/submit"`. */
export const taskPath = (route: string, path: TaskPath): string => `${route === "/" ? "" : route}/${path}`;

/** Returns the paths of all operations. */
export const listTaskPaths = (route: string): readonly string[] =>
  (Object.keys(taskPaths) as TaskPath[]).map((path) => taskPath(route, path));
