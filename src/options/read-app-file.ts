import { isFields, joinPath, type OptionReader, type Place, type Target } from "./option-reader.js";

/** An app file once loaded. */
export interface LoadedAppFile {
  /** Names it in messages: `"ekiben.config.ts"`. Without spaces. */
  readonly path: string;
  /** Its default export; should be an `AppFile`. */
  readonly value: unknown;
}

/** Reads what an app file says: for the app, for services, for apis. */
export function readAppFile(reader: OptionReader, { path, value }: LoadedAppFile): void {
  const at = { service: "", api: "", source: "app file", where: path } as const;
  reader.offerFields(value, at, ["services", "fastify"]);
  if (!isFields(value)) return;
  const { services, fastify } = value;
  if (fastify !== undefined && typeof fastify !== "function") {
    reader.addInvalid({ ...at, where: joinPath(path, "fastify"), name: "fastify", value: fastify }, "a function");
  }
  for (const [service, fields, where] of readNamed(reader, services, { ...at, name: "services" })) {
    const inside = { ...at, service, where };
    if (!reader.isKnownTarget({ ...inside, name: `services.${service}` })) continue;
    reader.offerFields(fields, inside, ["apis"]);
    if (isFields(fields)) readApis(reader, fields["apis"], inside);
  }
}

function readApis(reader: OptionReader, apis: unknown, at: Target & Place): void {
  for (const [api, fields, where] of readNamed(reader, apis, { ...at, name: "apis" })) {
    const inside = { ...at, api, where };
    if (reader.isKnownTarget({ ...inside, name: `apis.${api}` })) reader.offerFields(fields, inside);
  }
}

/** The entries of `services` or `apis`: name, fields, and where they stand. */
function readNamed(
  reader: OptionReader,
  value: unknown,
  at: Target & Place & { readonly name: string },
): [name: string, fields: unknown, where: string][] {
  if (value === undefined) return [];
  const where = joinPath(at.where, at.name);
  if (isFields(value)) return Object.entries(value).map(([name, fields]) => [name, fields, `${where}.${name}`]);
  reader.addInvalid({ ...at, where, value }, "an object with one field for each name");
  return [];
}
