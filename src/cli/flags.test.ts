import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { ServingError } from "../failure/serving-error.js";
import { type Flag, formatFlag, optionFlags, parseFlags } from "./command.js";

const own: readonly Flag[] = [
  { name: "format", short: "f", placeholder: "text|svg", text: "", choices: ["text", "svg"] },
  { name: "no-types", placeholder: "", text: "" },
];
const parse = (...args: string[]) => parseFlags(args, [...own, ...optionFlags]);

describe("parseFlags", () => {
  it("keeps options by name, in order and as text, apart from the command's own flags and files", () => {
    const {
      positionals,
      own: flags,
      options,
    } = parse(
      "service.ts:Model",
      "-p",
      "0",
      "--replicas",
      "2",
      "--replicas=Model=4",
      "--format",
      "svg",
      "--no-types",
      "--no-http-access-log",
    );
    assert.deepEqual(positionals, ["service.ts:Model"]);
    assert.deepEqual(options, { port: ["0"], replicas: ["2", "Model=4"], "http.accessLog": [false] });
    assert.deepEqual(
      [...flags],
      [
        ["format", "svg"],
        ["no-types", "true"],
      ],
    );
  });

  it("says everything that is wrong at once, with the nearest flag", () => {
    assert.throws(
      () => parse("--prot", "1", "--port", "--host", "--format", "pdf", "--http-access-log=no", "--no-port", "-p"),
      (error) => {
        assert.ok(error instanceof ServingError);
        assert.equal(error.id, "invalid_flag");
        assert.equal(
          error.message,
          [
            "there is no flag --prot; did you mean --port?",
            "--port needs a value: --port <port>, got --host",
            "--format is pdf; it takes text, svg",
            "--http-access-log takes no value, got no",
            "there is no flag --no-port",
            "-p needs a value: --port <port>",
          ].join("; "),
        );
        return true;
      },
    );
  });
});

describe("parseFlags of a former flag", () => {
  it("says the new name, also in the fix", () => {
    assert.throws(() => parse("--hold-ms", "100", "--checks=outside", "--prot", "1"), {
      id: "invalid_flag",
      message:
        "--hold-ms was renamed to --wait-for-replica-ms; --checks was renamed to --validate; there is no flag --prot; did you mean --port?",
      fix: "Use --wait-for-replica-ms, --validate.",
    });
  });

  it("says nothing of it where the command takes no options", () => {
    assert.throws(() => parseFlags(["--hold-ms", "100"], own), {
      message: "there is no flag --hold-ms",
      fix: "Run the command with --help to see its flags.",
    });
  });
});

describe("formatFlag", () => {
  it("shows the short form, the value, and that a switch may be turned off", () => {
    const find = (name: string) => optionFlags.find((flag) => flag.name === name) as Flag;
    assert.equal(formatFlag(find("port")), "-p, --port <port>");
    assert.equal(formatFlag(find("http-access-log")), "--[no-]http-access-log");
  });
});
