import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { DeclaredOptions } from "./option-reader.js";
import { type OptionSources, resolveOptions } from "./resolve-options.js";
import { secret } from "./secret.js";

const declared: DeclaredOptions = {
  entry: "Pipeline",
  services: [
    {
      name: "Model",
      options: { replicas: 2, timeoutMs: 5000, resources: { cpu: "500m", memory: "2Gi" } },
      apis: [
        { name: "predict", options: { input: {}, output: {}, timeoutMs: 3000, summary: "Predicts." } },
        { name: "embed", options: { output: {} } },
      ],
    },
    {
      name: "Pipeline",
      options: { http: { maxBodyBytes: 1024 } },
      apis: [{ name: "run", options: { output: {}, idempotent: true } }],
    },
  ],
};

const resolve = (sources: Partial<OptionSources>, from: DeclaredOptions = declared) =>
  resolveOptions(from, { flags: {}, env: {}, ...sources });
const config = (value: unknown) => ({ appFile: { path: "ekiben.config.ts", value } });
const withModel = (options: Record<string, unknown>): DeclaredOptions => ({
  entry: "Model",
  services: [{ name: "Model", options, apis: [] }],
});
const messages = (sources: Partial<OptionSources>, from?: DeclaredOptions) =>
  resolve(sources, from).faults.map(
    ({ service, field, message }) => `${[service, field].filter(Boolean).join(".")}: ${message}`,
  );

describe("resolveOptions", () => {
  it("decides how an api batches where its contract says that it does, and nowhere else", () => {
    const batch = { maxRows: 16, windowMs: 5 };
    const apis = [
      { name: "embed", options: { output: {}, batch } },
      { name: "plain", options: { output: {} } },
    ];
    const from = { entry: "Model", services: [{ name: "Model", options: {}, apis }] };
    const decide = (sources: Partial<OptionSources>) => resolve(sources, from).settings.services.get("Model")?.apis;
    const learnt = { maxRows: 16, targetLatencyMs: Number.POSITIVE_INFINITY, windowMs: 5, maxConcurrent: 1 };
    assert.deepEqual(decide({})?.get("embed")?.batch, learnt);
    assert.equal(decide({})?.get("plain")?.batch, undefined);
    const env = {
      EKIBEN_BATCH_MAX_ROWS: "Model.embed=4",
      EKIBEN_BATCH_WINDOW_MS: "auto",
      EKIBEN_BATCH_TARGET_LATENCY_MS: "80",
    };
    const other = { maxRows: 4, targetLatencyMs: 80, windowMs: undefined, maxConcurrent: 1 };
    assert.deepEqual(decide({ env })?.get("embed")?.batch, other);
    const options = resolve({}, from).report.filter(({ option }) => option === "batch.maxRows");
    assert.deepEqual(
      options.map(({ api, value, source }) => [api, value, source]),
      [["embed", 16, "api"]],
    );
  });

  it("finds what is wrong with batch in a contract", () => {
    const faultsOf = (batch: unknown) =>
      messages(
        {},
        { entry: "M", services: [{ name: "M", options: {}, apis: [{ name: "a", options: { output: {}, batch } }] }] },
      );
    assert.deepEqual(faultsOf(true), ["M.a.batch: option batch is true (api() of M.a); expected an object of options"]);
    assert.match(faultsOf({ maxRows: 0 })[0] ?? "", /batch\.maxRows is 0 .* expected a whole number from 1/);
    assert.match(faultsOf({ maxRow: 8 })[0] ?? "", /there is no option batch\.maxRow .*did you mean batch\.maxRows/);
    assert.match(faultsOf({ windowMs: -1 })[0] ?? "", /expected "auto", or a whole number of ms from 0/);
  });

  it("gives every option its default when nobody says anything", () => {
    const { settings, faults, warnings, report } = resolve({}, withModel({}));
    assert.deepEqual([faults, warnings], [[], []]);
    const { http, ...server } = settings.server;
    assert.deepEqual(server, {
      host: "0.0.0.0",
      port: 3000,
      adminPort: undefined,
      adminHost: "0.0.0.0",
      drainTimeoutMs: 30_000,
      shutdownDelayMs: 0,
      exitAfterMs: 120_000,
      service: "",
      listen: undefined,
      tls: { cert: undefined, key: undefined, ca: undefined },
      edgeKeyFile: undefined,
      maxRemoteConnections: 1024,
      zone: "",
      models: "",
      remote: { resolveMs: 5_000, connectTimeoutMs: 5_000 },
      validate: "all",
      logLevel: "info",
      inspect: [],
      inspectWait: [],
    });
    assert.equal(http.maxBodyBytes, 16 * 1024 * 1024);
    assert.deepEqual(http.limitsFrom, { bodyTimeoutMs: "default", streamIdleMs: "default" });
    assert.equal(settings.gpus, "auto");
    assert.deepEqual(settings.tasks, {
      data: "",
      store: "sqlite",
      namespace: "",
      maxConnections: 4,
      keepHeaders: [],
      keyScope: [],
      retentionMs: 604_800_000,
      schedules: true,
      leaseMs: 45_000,
    });
    assert.deepEqual(settings.services.get("Model")?.replicas, { min: 1, max: 1, targetInFlight: 8 });
    assert.equal(settings.services.get("Model")?.resources.memoryBytes, Number.POSITIVE_INFINITY);
    assert.equal(settings.services.get("Model")?.waitForReplicaMs, 5000);
    assert.equal(settings.services.get("Model")?.startTimeoutFrom, "default");
    assert.deepEqual(settings.services.get("Model")?.liveness, {
      intervalMs: 1000,
      suspendAfterMs: 5000,
      replaceAfterMs: 30_000,
      warmUpMs: 300_000,
    });
    assert.deepEqual(settings.services.get("Model")?.restart, {
      backoffMs: 100,
      maxBackoffMs: 10_000,
      resetAfterMs: 10_000,
      giveUpAfter: 8,
      slowBackoffMs: 30_000,
    });
    assert.ok(report.every(({ source }) => source === "default"));
    assert.equal(report.find(({ option }) => option === "name")?.value, "Model");
  });

  it("reads the store of tasks from a secret, and finds a missing one at once", () => {
    const store = config({ tasks: { store: secret("EKIBEN_TEST_STORE") } });
    const [fault] = resolve(store).faults;
    assert.deepEqual([fault?.id, fault?.field], ["secret_missing", "tasks.store"]);
    process.env["EKIBEN_TEST_STORE"] = "postgres://u:hush@host/tasks";
    try {
      const { settings, faults, report } = resolve(store);
      assert.deepEqual([faults, settings.tasks.store], [[], "postgres://u:hush@host/tasks"]);
      assert.equal(report.find(({ option }) => option === "tasks.store")?.value, "postgres://u:***@host/tasks");
      process.env["EKIBEN_TEST_STORE"] = "mysql://u:hush@host/tasks";
      const [invalid] = resolve(store).faults;
      assert.deepEqual([invalid?.id, /hush/.test(JSON.stringify(invalid))], ["invalid_option", false]);
    } finally {
      delete process.env["EKIBEN_TEST_STORE"];
    }
  });

  it("reads what authors declared, in fixed units", () => {
    const { settings } = resolve({});
    const model = settings.services.get("Model");
    assert.equal(model?.resources.cpu, 0.5);
    assert.equal(model?.resources.memoryBytes, 2 * 1024 ** 3);
    assert.equal(model?.apis.get("predict")?.timeoutMs, 3000);
    assert.equal(model?.apis.get("embed")?.timeoutMs, 5000, "the service's is the default of its apis");
    assert.equal(settings.services.get("Pipeline")?.apis.get("run")?.idempotent, true);
    assert.equal(settings.server.http.maxBodyBytes, 1024, "http of the entry service");
  });

  const order: { title: string; sources: Partial<OptionSources>; value: number; where: string }[] = [
    { title: "api over service", sources: {}, value: 3000, where: "api() of Model.predict" },
    {
      title: "an api in the app file over the same api in code",
      sources: config({ services: { Model: { apis: { predict: { timeoutMs: 10 } } } } }),
      value: 10,
      where: "ekiben.config.ts services.Model.apis.predict.timeoutMs",
    },
    {
      title: "a service in the app file over code and over the app",
      sources: config({ services: { Model: { timeoutMs: 20 } }, timeoutMs: 10 }),
      value: 20,
      where: "ekiben.config.ts services.Model.timeoutMs",
    },
    {
      title: "an api in the app file over its service",
      sources: config({ services: { Model: { timeoutMs: 20, apis: { predict: { timeoutMs: 30 } } } } }),
      value: 30,
      where: "ekiben.config.ts services.Model.apis.predict.timeoutMs",
    },
    {
      title: "environment over app file",
      sources: {
        env: { EKIBEN_TIMEOUT_MS: "Model=40" },
        ...config({ services: { Model: { apis: { predict: { timeoutMs: 30 } } } } }),
      },
      value: 40,
      where: "EKIBEN_TIMEOUT_MS",
    },
    {
      title: "an environment file like the environment that it adds to",
      sources: {
        env: { EKIBEN_TIMEOUT_MS: "Model.predict=40" },
        envFile: { path: ".env", variables: new Set(["EKIBEN_TIMEOUT_MS"]) },
        ...config({ timeoutMs: 30 }),
      },
      value: 40,
      where: ".env EKIBEN_TIMEOUT_MS",
    },
    {
      title: "command line over environment",
      sources: { flags: { timeoutMs: "Model=50" }, env: { EKIBEN_TIMEOUT_MS: "Model.predict=40" } },
      value: 50,
      where: "--timeout-ms",
    },
    {
      title: "the narrower flag over the wider, in any order",
      sources: { flags: { timeoutMs: ["Model.predict=60", "Model=70", "80"] } },
      value: 60,
      where: "--timeout-ms",
    },
    {
      title: "the later of two equal flags",
      sources: { flags: { timeoutMs: ["Model=60", "Model=70"] } },
      value: 70,
      where: "--timeout-ms",
    },
  ];
  for (const { title, sources, value, where } of order) {
    it(`prefers ${title}, and says which source won`, () => {
      const { settings, report, faults } = resolve(sources);
      assert.deepEqual(faults, []);
      const decided = settings.services.get("Model")?.apis.get("predict");
      assert.equal(decided?.timeoutMs, value);
      assert.equal(decided?.timeoutFrom, where);
      const row = report.find(
        (entry) => entry.option === "timeoutMs" && entry.service === "Model" && entry.api === "predict",
      );
      assert.equal(row?.where, where);
    });
  }

  const mixed: DeclaredOptions = {
    entry: "Pipeline",
    services: [
      {
        name: "Pipeline",
        options: {},
        apis: [
          { name: "plain", options: {} },
          { name: "slow", options: { timeoutMs: 30_000 } },
          { name: "same", options: { timeoutMs: 10_000 } },
          { name: "tokens", options: {}, kind: "stream" },
          { name: "train", options: {}, kind: "task" },
        ],
      },
      { name: "Model", options: { timeoutMs: 5000 }, apis: [{ name: "predict", options: {} }] },
    ],
  };
  const timeoutsOf = (sources: Partial<OptionSources>) =>
    [...resolve(sources, mixed).settings.services.values()].flatMap(({ apis }) =>
      [...apis].map(([name, { timeoutMs }]) => [name, timeoutMs]),
    );
  const appWide: { title: string; sources: Partial<OptionSources>; where: string }[] = [
    { title: "the app file", sources: config({ timeoutMs: 10_000 }), where: "ekiben.config.ts timeoutMs" },
    { title: "the environment", sources: { env: { EKIBEN_TIMEOUT_MS: "10000" } }, where: "EKIBEN_TIMEOUT_MS" },
    { title: "a flag", sources: { flags: { timeoutMs: "10000" } }, where: "--timeout-ms" },
    { title: "a program", sources: { flags: { timeoutMs: 10_000 } }, where: "--timeout-ms" },
  ];
  for (const { title, sources, where } of appWide) {
    it(`takes a timeout for the whole app from ${title} as a default, and says what it does not apply to`, () => {
      assert.deepEqual(timeoutsOf(sources), [
        ["plain", 10_000],
        ["slow", 30_000],
        ["same", 10_000],
        ["tokens", Number.POSITIVE_INFINITY],
        ["train", 3_600_000],
        ["predict", 5000],
      ]);
      const { notes, warnings, faults } = resolve(sources, mixed);
      assert.deepEqual([faults, warnings], [[], []]);
      assert.deepEqual(
        notes.map(({ id, field, message }) => [id, field, message]),
        [
          [
            "weaker_option",
            "timeoutMs",
            `timeoutMs of 10000 ms (${where}) is the default of the whole app, and does not apply to Pipeline.slow (30000 ms, api() of Pipeline.slow), Pipeline.tokens (a stream), Pipeline.train (a task), Model.predict (5000 ms, Service() of Model)`,
          ],
        ],
      );
    });
  }

  it("lets a timeout for a service or an api reach streams and tasks, and has nothing to say of it", () => {
    const env = { EKIBEN_TIMEOUT_MS: "Pipeline=70,Pipeline.train=80" };
    assert.deepEqual(timeoutsOf({ env }), [
      ["plain", 70],
      ["slow", 70],
      ["same", 70],
      ["tokens", 70],
      ["train", 80],
      ["predict", 5000],
    ]);
    assert.deepEqual(resolve({ env }, mixed).notes, []);
    const flags = { timeoutMs: ["90", "Model=60"] };
    assert.deepEqual(timeoutsOf({ env, flags }).at(-1), ["predict", 60]);
    assert.deepEqual(resolve({ env, flags }, mixed).notes, [], "every api has a value from outside");
  });

  it("listens for probes where the apis are, on a port of its own, unless adminHost says otherwise", () => {
    const placeOf = (value: object) => {
      const { adminHost, adminPort } = resolve(config(value)).settings.server;
      return [adminHost, adminPort];
    };
    assert.deepEqual(placeOf({ adminPort: 9000 }), ["0.0.0.0", 9000]);
    assert.deepEqual(placeOf({ adminPort: 0, host: "10.0.0.1" }), ["10.0.0.1", 0]);
    assert.deepEqual(placeOf({ adminPort: "none", adminHost: "127.0.0.1" }), ["127.0.0.1", undefined]);
  });

  it("sets a service's option for all or for one, from flags and from the environment", () => {
    const replicasOf = (sources: Partial<OptionSources>) =>
      [...resolve(sources).settings.services.values()].map(({ replicas }) => [replicas.min, replicas.max]);
    assert.deepEqual(replicasOf({ flags: { replicas: ["4"] } }), [
      [4, 4],
      [4, 4],
    ]);
    assert.deepEqual(replicasOf({ flags: { replicas: ["Model=4"] } }), [
      [4, 4],
      [1, 1],
    ]);
    assert.deepEqual(replicasOf({ env: { EKIBEN_REPLICAS: "Model=4,Pipeline=1..3" } }), [
      [4, 4],
      [1, 3],
    ]);
    assert.deepEqual(replicasOf({ env: { EKIBEN_REPLICAS: "5,Model=4" } }), [
      [4, 4],
      [5, 5],
    ]);
  });

  it("reads groups of the app file and of the environment", () => {
    const { settings, faults } = resolve({
      ...config({ http: { cors: ["https://a.example"], accessLog: false }, resources: { cpu: 3 } }),
      env: {
        EKIBEN_HTTP_STREAM_IDLE_MS: "500",
        EKIBEN_HTTP_MAX_BODY_BYTES: "2MiB",
        EKIBEN_RESOURCES_CPU: "Pipeline=250m",
        EKIBEN_START_TIMEOUT_MS: "Pipeline=250",
      },
    });
    assert.deepEqual(faults, []);
    assert.deepEqual(settings.server.http.cors, ["https://a.example"]);
    assert.equal(settings.server.http.accessLog, false);
    assert.equal(settings.server.http.limitsFrom?.streamIdleMs, "EKIBEN_HTTP_STREAM_IDLE_MS");
    assert.deepEqual(
      ["Pipeline", "Model"].map((name) => settings.services.get(name)?.startTimeoutFrom),
      ["EKIBEN_START_TIMEOUT_MS", "default"],
    );
    assert.equal(settings.server.http.maxBodyBytes, 2 * 1024 ** 2);
    assert.equal(settings.services.get("Pipeline")?.resources.cpu, 0.25);
    assert.equal(settings.services.get("Model")?.resources.cpu, 3);
  });

  it("reads what becomes of lost replicas for all services, for one, and beside one another", () => {
    const { settings, faults } = resolve({
      flags: { gpus: "1,0", waitForReplicaMs: "Model=0" },
      env: { EKIBEN_RESTART_GIVE_UP_AFTER: "Model=0", EKIBEN_LIVENESS_REPLACE_AFTER_MS: "60000" },
      ...config({ liveness: { intervalMs: 500 }, services: { Pipeline: { restart: { backoffMs: 1 } } } }),
    });
    assert.deepEqual(faults, []);
    assert.deepEqual(settings.gpus, [1, 0]);
    const [model, pipeline] = [settings.services.get("Model"), settings.services.get("Pipeline")];
    assert.deepEqual([model?.waitForReplicaMs, pipeline?.waitForReplicaMs], [0, 5000]);
    assert.deepEqual([model?.restart.giveUpAfter, pipeline?.restart.giveUpAfter], [0, 8]);
    assert.deepEqual([model?.restart.backoffMs, pipeline?.restart.backoffMs], [100, 1]);
    for (const service of [model, pipeline]) {
      assert.deepEqual(service?.liveness, {
        intervalMs: 500,
        suspendAfterMs: 5000,
        replaceAfterMs: 60_000,
        warmUpMs: 60_000,
      });
    }
  });

  it("takes values from a program as flags, and leaves undefined ones out", () => {
    const { settings, faults } = resolve({ flags: { port: 0, host: undefined }, ...config({ host: undefined }) });
    assert.deepEqual(faults, []);
    assert.deepEqual([settings.server.port, settings.server.host], [0, "0.0.0.0"]);
  });

  it("reports every fault of every source at once, with the place and the nearest name", () => {
    const found = messages(
      {
        flags: { port: "99999", replicas: ["Modle=4", "Model=0"] },
        env: { EKIBEN_TIMEOUT_MS: "1s", EKIBEN_MAX_QUEUED: "Pipeline.runn=1" },
        ...config({
          timeout: 5,
          http: { maxBodyByte: 1 },
          services: { Piepline: {}, Model: { port: 1, apis: { predict: { replicas: 2 } } } },
          fastify: true,
        }),
      },
      {
        entry: "Pipeline",
        services: [
          {
            name: "Model",
            options: { gpuz: 1, restart: { giveUp: 3 }, resources: { memory: "lots" }, replicas: { min: 3, max: 2 } },
            apis: [{ name: "predict", options: { output: {}, sumary: "", maxConcurrent: -1 } }],
          },
          { name: "Pipeline", options: { port: 1, http: true }, apis: [{ name: "run", options: {} }] },
        ],
      },
    );
    assert.deepEqual(found, [
      'port: option port is "99999" (--port); expected a whole number from 0 to 65535',
      "replicas: there is no service Modle in the graph (--replicas); did you mean Model?; there are Model, Pipeline",
      'Model.replicas: option replicas is "0" (--replicas); expected a whole number from 1, or { min, max, targetInFlight? } with 1 <= min <= max; as text 4 or 1..4',
      'timeoutMs: option timeoutMs is "1s" (EKIBEN_TIMEOUT_MS); expected a whole number of ms from 1 to 2147483647',
      "Pipeline.maxQueued: there is no api of Pipeline runn in the graph (EKIBEN_MAX_QUEUED); did you mean run?; there are run",
      "timeout: there is no option timeout (ekiben.config.ts timeout); did you mean timeoutMs?",
      "http.maxBodyByte: there is no option http.maxBodyByte (ekiben.config.ts http.maxBodyByte); did you mean http.maxBodyBytes?",
      "fastify: option fastify is true (ekiben.config.ts fastify); expected a function",
      "services.Piepline: there is no service Piepline in the graph (ekiben.config.ts services.Piepline); did you mean Pipeline?; there are Model, Pipeline",
      "Model.port: option port can't be set there (ekiben.config.ts services.Model.port); it may be set by: command line, environment, app file (beside services, not in it)",
      "Model.predict.replicas: option replicas can't be set there (ekiben.config.ts services.Model.apis.predict.replicas); it may be set by: command line, environment, app file, Service()",
      "Model.gpuz: there is no option gpuz (Service() of Model); did you mean resources.gpu?",
      "Model.restart.giveUp: there is no option restart.giveUp (Service() of Model); did you mean restart.giveUpAfter?",
      'Model.resources.memory: option resources.memory is "lots" (Service() of Model); expected a size of at least 1 byte: bytes, or "512Mi", "2GiB"; Infinity for no bound',
      'Model.replicas: option replicas is {"min":3,"max":2} (Service() of Model); expected a whole number from 1, or { min, max, targetInFlight? } with 1 <= min <= max; as text 4 or 1..4',
      "Model.predict.sumary: there is no option sumary (api() of Model.predict); did you mean summary?",
      "Model.predict.maxConcurrent: option maxConcurrent is -1 (api() of Model.predict); expected a whole number from 1",
      "Pipeline.port: option port can't be set there (Service() of Pipeline); it may be set by: command line, environment, app file (beside services, not in it)",
      "Pipeline.http: option http is true (Service() of Pipeline); expected an object of options",
    ]);
  });

  it("refuses the former name of an option in every source, and gives the new one as the fix", () => {
    const { faults } = resolve(
      {
        flags: { checks: "outside" },
        env: { EKIBEN_HOLD_MS: "100", EKIBEN_LIVENESS_OUT_AFTER_MS: "" },
        ...config({ liveness: { outAfterMs: 100 } }),
      },
      {
        entry: "Model",
        services: [{ name: "Model", options: { holdMs: 1 }, apis: [{ name: "run", options: { holdMs: 2 } }] }],
      },
    );
    const values = "; `ekiben options` shows the values it takes.";
    assert.deepEqual(
      faults.map(({ id, message, fix }) => [id, message, fix]),
      [
        ["renamed_option", "checks (--checks) was renamed to validate", `Rename it to validate${values}`],
        [
          "renamed_option",
          "EKIBEN_HOLD_MS (environment) was renamed to EKIBEN_WAIT_FOR_REPLICA_MS",
          `Rename it to EKIBEN_WAIT_FOR_REPLICA_MS${values}`,
        ],
        [
          "renamed_option",
          "liveness.outAfterMs (ekiben.config.ts liveness.outAfterMs) was renamed to liveness.suspendAfterMs",
          `Rename it to liveness.suspendAfterMs${values}`,
        ],
        [
          "renamed_option",
          "holdMs (Service() of Model) was renamed to waitForReplicaMs",
          `Rename it to waitForReplicaMs${values}`,
        ],
        [
          "renamed_option",
          "holdMs (api() of Model.run) was renamed to waitForReplicaMs",
          `Rename it to waitForReplicaMs${values}`,
        ],
      ],
    );
  });

  it("reads names of every script as names", () => {
    const declared = {
      entry: "Modèle2",
      services: [
        { name: "Modèle2", options: {}, apis: [{ name: "évaluer", options: {} }] },
        { name: "日本", options: {}, apis: [] },
      ],
    };
    const flags = { replicas: ["Modèle2=2,日本=3"], timeoutMs: ["Modèle2.évaluer=5"] };
    const { faults, settings } = resolveOptions(declared, { flags, env: {} });
    assert.deepEqual(faults, []);
    assert.equal(settings.services.get("Modèle2")?.apis.get("évaluer")?.timeoutMs, 5);
    assert.equal(settings.services.get("Modèle2")?.replicas.min, 2);
    assert.equal(settings.services.get("日本")?.replicas.min, 3);
  });

  it("gives complete settings even when there are faults", () => {
    const { settings } = resolve({ flags: { port: "many" } });
    assert.equal(settings.server.port, 3000);
  });

  it("shows no password of a store in its report, nor in what it says of a wrong value", () => {
    const url = "postgres://me:s3cret@db:5432/tasks?sslpassword=s3cret";
    const { settings, report, faults } = resolve({ env: { EKIBEN_TASKS_STORE: url } });
    assert.deepEqual([faults, settings.tasks.store], [[], url]);
    assert.equal(report.find(({ option }) => option === "tasks.store")?.value, "postgres://me:***@db:5432/tasks");
    assert.ok(!JSON.stringify(report).includes("s3cret"));
    const wrong = ["postgres://me:s3cret@db:port/tasks", "mysql://me:s3cret@db/tasks"];
    for (const store of wrong) {
      const results = [
        resolve({ flags: { "tasks.store": [store] } }),
        resolve(config({ tasks: { store } })),
        resolve(config({ tasks: store })),
      ];
      for (const { faults } of results) {
        assert.equal(faults.length, 1);
        assert.ok(!JSON.stringify(faults).includes("s3cret"), faults[0]?.message);
      }
    }
  });

  it("refuses an app file that is no object", () => {
    assert.deepEqual(messages(config(undefined)), [
      "ekiben.config.ts: it is undefined (ekiben.config.ts); expected an object of options as its default export",
    ]);
  });

  it("warns of http options on a service that is not the entry", () => {
    const { faults, warnings } = resolve({}, { ...declared, entry: "Model" });
    assert.deepEqual(faults, []);
    assert.deepEqual(
      warnings.map(({ id, service, field }) => [id, service, field]),
      [["unused_option", "Pipeline", "http"]],
    );
  });

  it("warns of EKIBEN_ variables that set nothing, but not of those Kubernetes makes", () => {
    const { warnings, settings } = resolve({
      env: {
        EKIBEN_REPLICA: "3",
        EKIBEN_PORT: "tcp://10.0.0.1:3000",
        EKIBEN_PORT_3000_TCP: "tcp://10.0.0.1:3000",
        EKIBEN_SERVICE_HOST: "10.0.0.1",
        EKIBEN_SERVICE_PORT: "3000",
        EKIBEN_HOST: "",
        PORT: "1",
      },
    });
    assert.equal(settings.server.port, 3000);
    assert.deepEqual(
      warnings.map(({ message }) => message),
      ["the environment variable EKIBEN_REPLICA sets no option; did you mean EKIBEN_REPLICAS?"],
    );
  });
});
