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

describe("formatFlag", () => {
  it("shows the short form, the value, and that a switch may be turned off", () => {
    const find = (name: string) => optionFlags.find((flag) => flag.name === name) as Flag;
    assert.equal(formatFlag(find("port")), "-p, --port <port>");
    assert.equal(formatFlag(find("http-access-log")), "--[no-]http-access-log");
  });
});
