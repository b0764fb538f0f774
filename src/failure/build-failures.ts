import { type GraphFault, list, row } from "./failure-row.js";

/** Failures of `ekiben build`, and of builds that are served. */
export const buildFailures = {
  bundler_missing: row<Record<never, never>>({
    code: "failed_precondition",
    text: () => "`ekiben build` needs esbuild, which is not installed",
    fix: "npm install --save-dev esbuild",
  }),
  build_refused: row<{ faults: readonly GraphFault[] }>({
    code: "failed_precondition",
    text: (d) =>
      `the app can't be built: ${d.faults.map(({ service, message }) => `${service}: ${message}`).join("; ")}`,
    fix: "Fix each fault. The earlier build, if there is one, was left as it was.",
  }),
  bundling_failed: row<{ service: string; problems: readonly string[] }>({
    code: "failed_precondition",
    text: (d) => `its code can't be bundled: ${d.problems.join("; ")}`,
    fix: "Fix the import or the syntax at that line. Install packages that are missing.",
  }),
  bundle_broken: row<{ service: string; problem: string }>({
    code: "failed_precondition",
    text: (d) => `its bundle can't be loaded: ${d.problem}`,
    fix: "Check that the file loads with nothing but its own code: no global that another file sets, no file that is found by a path of this machine. Name files that it reads in build.assets.",
  }),
  class_not_at_top: row<{ service: string; local: string; files: readonly string[] }>({
    code: "failed_precondition",
    text: (d) =>
      d.files.length === 0
        ? `no file declares the class ${d.local} at its top level`
        : `several files declare a class ${d.local}, and it can't be told which is meant: ${list(d.files)}`,
    fix: "Declare the class at the top level of one file, as `export class Model extends Service() { … }`, with a name of its own; for a class that a function makes: `export const Model = make(…)`.",
  }),
  callee_not_separable: row<{ callee: string; place: string; reason: string }>({
    code: "failed_precondition",
    text: (d) => `the code of ${d.callee} would come along${d.place === "" ? "" : ` (${d.place})`}: ${d.reason}`,
    fix: "Declare the class without static fields and with plain values in Service(), and let no other service extend it. Or place the callee inline.",
  }),
  asset_missing: row<{ place: string; asset: string; problem: string }>({
    code: "failed_precondition",
    text: (d) => `${d.place} reads ${d.asset}, which can't come along: ${d.problem}`,
    fix: "Correct the path. Keep files that are made while the app runs in another folder, such as the one that the option data names.",
  }),
  asset_unknown: row<{ place: string; code: string }>({
    code: "failed_precondition",
    text: (d) => `${d.place} finds files by its own place, but it can't be told which: ${d.code}`,
    fix: 'Name the file in the code, as `new URL("./model.bin", import.meta.url)`. Or name all files that the service may read in its options: `Service({ build: { assets: ["models/**"] } })`.',
  }),
  import_unknown: row<{ place: string; code: string }>({
    code: "failed_precondition",
    text: (d) => `${d.place} imports a module whose name is computed, so it can't come along: ${d.code}`,
    fix: 'Import modules by a text, one `import("./name.js")` for each, and choose among the functions. A template that begins with `./plugins/` brings all files of that folder.',
  }),
  value_of_environment: row<{ option: string; variable: string }>({
    code: "failed_precondition",
    text: (d) =>
      `the option ${d.option} has the value of the environment variable ${d.variable}, and would be written into the build`,
    fix: 'Name the variable instead of reading it: `secret("NAME")` in the option env. Or leave the option out, and set it where the app runs.',
    fixFor: (d) =>
      `Name the variable instead of reading it: \`secret("${d.variable}")\` in the option env. Or leave the option out, and set it where the app runs.`,
  }),
  build_unwritable: row<{ folder: string; problem: string }>({
    code: "failed_precondition",
    text: (d) => `the build can't be written to ${d.folder}: ${d.problem}`,
    fix: "Free space on the disk, or name another folder by --out. The earlier build, if there is one, was left as it was.",
  }),
  not_a_build: row<{ folder: string; problem: string }>({
    code: "failed_precondition",
    text: (d) => `${d.folder} can't be served as a build: ${d.problem}`,
    fix: "Build the app again with `ekiben build`, by the version of ekiben that serves it, and copy the whole folder.",
  }),
  build_changed: row<{ folder: string; file: string; problem: string }>({
    code: "failed_precondition",
    text: (d) => `${d.folder} is not as it was built: ${d.file}: ${d.problem}`,
    fix: "Copy the whole folder again, or build it again with `ekiben build`. Files of a build are not edited by hand.",
  }),
  build_platform: row<{ folder: string; built: string; here: string }>({
    code: "failed_precondition",
    text: (d) => `${d.folder} has native code for ${d.built}, and this is ${d.here}`,
    fix: "Build it on the platform that it runs on, for example in the image of the container.",
  }),
  not_in_build: row<{ service: string }>({
    code: "failed_precondition",
    text: (d) => `the code of ${d.service} is not in this folder, and no address says where it runs`,
    fix: "Serve the folder of the whole build. Or say where the service runs: --at <service>=tls://<host>:<port>.",
    fixFor: (d) => `Serve the folder of the whole build. Or say where it runs: --at ${d.service}=tls://<host>:<port>.`,
  }),
  placement_is_built: row<{ service: string; placement: string; wasInline: boolean }>({
    code: "failed_precondition",
    text: (d) =>
      d.wasInline
        ? `it was built into its callers, so its placement can't be ${d.placement}`
        : "it was built by itself, so its placement can't be inline",
    fix: "Set the placement in the code or the app file, and build again.",
  }),
};
