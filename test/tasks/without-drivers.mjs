// Loaded by --import: the drivers of task stores are not installed, as far as this process can see.
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
