// Servers of W5 over HTTP. Each has the same network, one thread for it, and at most 64 rows per batch.
import { join } from "node:path";
import { createEkibenCommand } from "../ekiben-command.ts";
import { installPythonPackages } from "../rivals/install.ts";
import type { ServerCommand } from "../server-process.ts";
import { createMlpRow, ensureMlpFile, mlpInputs } from "../workloads/mlp-model.ts";

/** Server of W5. */
export interface BatchContender {
  readonly name: string;
  readonly isPython: boolean;
  readonly note: string;
  readonly route: string;
  /** Makes the body that asks for one row. */
  readonly createBody: (row: Float32Array) => string;
  /** Reads the scores of the row from the answer. */
  readonly readScores: (answer: any) => readonly number[];
  /** Starts the server. @throws {Error} with the reason why it cannot run here. */
  readonly prepare: (port: number) => Promise<ServerCommand>;
}

export const names = {
  batched: "ekiben",
  plain: "ekiben, no batching",
  /** Default window, and the window that is best for few connections. */
  mosecs: ["Mosec, waits 10 ms", "Mosec, waits 1 ms"],
} as const;

const python = join(import.meta.dirname, "../rivals/python");

/** Formats numbers as short as the load scripts write them. */
const listRow = (row: Float32Array) => Array.from(row, (value) => Number(value.toFixed(4)));

const plainBody = {
  createBody: (row: Float32Array) => JSON.stringify({ inputs: [listRow(row)] }),
  readScores: (answer: number[][]) => answer[0] ?? [],
};

/** Formats rows of Open Inference Protocol v2, which MLServer accepts. */
const protocolBody = {
  createBody: (row: Float32Array) =>
    JSON.stringify({ inputs: [{ name: "x", shape: [1, mlpInputs], datatype: "FP32", data: listRow(row) }] }),
  readScores: (answer: { outputs: { data: number[] }[] }) => answer.outputs[0]?.data ?? [],
};

const createEkiben = (name: string, route: string): BatchContender => ({
  ...{ name, route, ...plainBody, isPython: false, note: "all checks; the model in the process that answers HTTP" },
  prepare: async (port) => createEkibenCommand({ file: "w5", placement: "process", port }),
});

const createMosec = (waitMs: number): BatchContender => ({
  ...{ name: `Mosec, waits ${waitMs} ms`, route: "/predict", ...plainBody, isPython: true },
  note: `a fixed window of ${waitMs} ms; bodies are not checked; the model in a process of its own`,
  async prepare(port) {
    const programs = await installPythonPackages("mosec-onnx", ["mosec==0.9.8", "numpy", "onnxruntime"]);
    const args = ["mlp_on_mosec.py", "--address", "127.0.0.1", "--port", String(port), "--wait", String(waitMs)];
    return {
      command: join(programs, "python"),
      args,
      port,
      readyPath: "/",
      cwd: python,
      env: { MLP_ONNX: ensureMlpFile() },
    };
  },
});

export const contenders: readonly BatchContender[] = [
  createEkiben(names.batched, "/predict"),
  createEkiben(names.plain, "/predict_plain"),
  createMosec(10),
  createMosec(1),
  {
    ...{ name: "MLServer", route: "/v2/models/mlp/infer", ...protocolBody, isPython: true },
    note: "waits 10 ms at most; Open Inference Protocol; the model in a second process",
    async prepare(port) {
      // With uvloop 0.23, which pip selects, every worker dies at its start.
      const packages = ["mlserver==1.7.1", "uvloop==0.21.0", "numpy", "onnxruntime"];
      const programs = await installPythonPackages("mlserver", packages);
      const cwd = join(python, "mlserver");
      const env = {
        ...{ MLSERVER_HOST: "127.0.0.1", MLSERVER_HTTP_PORT: String(port), MLSERVER_DEBUG: "false" },
        ...{ MLSERVER_GRPC_PORT: String(port + 1), MLSERVER_METRICS_PORT: String(port + 2) },
        ...{ MLSERVER_METRICS_DIR: join(programs, "../metrics"), MLSERVER_ENVIRONMENTS_DIR: join(programs, "../envs") },
        ...{ MLP_ONNX: ensureMlpFile(), PYTHONPATH: cwd, PATH: `${programs}:${process.env["PATH"]}` },
      };
      return {
        command: join(programs, "mlserver"),
        args: ["start", "."],
        port,
        readyPath: "/v2/health/ready",
        cwd,
        env,
      };
    },
  },
  {
    ...{ name: "BentoML", route: "/predict", ...plainBody, isPython: true },
    note: "adaptive batching, max_latency_ms 10000; as it is installed",
    async prepare(port) {
      const packages = ["bentoml==1.4.39", "numpy", "uvloop", "httptools", "onnxruntime"];
      const programs = await installPythonPackages("bentoml-onnx", packages);
      return {
        command: join(programs, "bentoml"),
        args: ["serve", "mlp_on_bentoml:Mlp", "--host", "127.0.0.1", "--port", String(port)],
        ...{ port, readyPath: "/readyz", cwd: python },
        env: {
          ...{ BENTOML_DO_NOT_TRACK: "True", BENTOML_HOME: join(programs, "../home"), PYTHONPATH: "." },
          ...{ PATH: `${programs}:${process.env["PATH"]}`, MLP_ONNX: ensureMlpFile() },
        },
      };
    },
  },
];

/** Bodies sent in turn under load. */
export const createBodies = ({ createBody }: BatchContender): string[] =>
  Array.from({ length: 16 }, (_, i) => createBody(createMlpRow(i + 1)));
