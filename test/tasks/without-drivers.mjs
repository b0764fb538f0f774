// Preloaded (`--import`): makes the drivers of task stores look as if they were not installed.
import { register } from "node:module";

const hooks = `
  export function resolve(specifier, context, next) {
    if (["libsql", "pg"].includes(specifier)) {
      throw Object.assign(new Error("Cannot find package " + specifier), { code: "ERR_MODULE_NOT_FOUND" });
    }
    return next(specifier, context);
  }
`;
register(`data:text/javascript,${encodeURIComponent(hooks)}`);
