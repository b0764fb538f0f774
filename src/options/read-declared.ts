import type { DeclaredService, OptionReader } from "./option-reader.js";
import { contractFields } from "./options.js";

/** Reads what authors said in `Service()` and in contracts. */
export function readDeclared(reader: OptionReader): void {
  const { entry, services } = reader.declared;
  for (const service of services) {
    const at = { service: service.name, api: "", source: "service", where: `Service() of ${service.name}` } as const;
    if (service.name === entry) reader.offerFields(service.options, at);
    else {
      reader.offerFields(service.options, at, ["http"]);
      if (service.options["http"] !== undefined) {
        reader.addWarning("unused_option", { option: "http", source: at.where, entry }, { ...at, name: "http" });
      }
    }
    readContracts(reader, service);
  }
}

function readContracts(reader: OptionReader, service: DeclaredService): void {
  for (const { name: api, options: contract } of service.apis) {
    const where = `api() of ${service.name}.${api}`;
    const at = { service: service.name, api, source: "api", where } as const;
    reader.offerFields(contract, at, contractFields);
  }
}
