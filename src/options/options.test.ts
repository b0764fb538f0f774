import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { AppFile } from "./app-file.js";
import { flagOf, variableOf } from "./option.js";
import { formerNames, options } from "./options.js";
import { resolveOptions } from "./resolve-options.js";

describe("the option table", () => {
  it("gives every option a default that its own type accepts", () => {
    for (const { name, type, default: value } of options.values()) {
      if (name !== "name") assert.notEqual(type.fromCode(value), undefined, name);
    }
  });

  it("gives every option a flag and a variable of its own", () => {
    const all = [...options.values()];
    assert.equal(new Set(all.map(flagOf)).size, all.length);
    assert.equal(flagOf(options.get("http.maxBodyBytes") as never), "http-max-body-bytes");
    assert.equal(variableOf(options.get("timeoutMs") as never), "EKIBEN_TIMEOUT_MS");
  });

  it("has no option under a former name, and leads each former name to an option", () => {
    for (const [former, now] of formerNames) {
      assert.ok(!options.has(former), former);
      assert.ok(options.has(now), now);
    }
  });

  it("can be set in full by an app file, as its type says", () => {
    const file: Required<Omit<AppFile, "fastify" | "context">> = {
      port: 1,
      host: "localhost",
      adminPort: 0,
      adminHost: "localhost",
      service: "Model",
      listen: "127.0.0.1:7000",
      tls: { cert: "app.pem", key: "app.key", ca: "ca.pem" },
      edgeKeyFile: "edge.key",
      maxRemoteConnections: 1,
      drainTimeoutMs: 1,
      shutdownDelayMs: 1,
      exitAfterMs: 1,
      validate: "boundary",
      logLevel: "warn",
      inspect: "Model#0",
      inspectWait: ["Model#1=9230"],
      zone: "eu-1",
      remote: { resolveMs: 100, connectTimeoutMs: 1 },
      at: ["tls://model:7000"],
      gpus: [0, 1],
      data: "/var/lib/app",
      models: "/var/cache/models",
      tasks: {
        store: "postgres://app@localhost/tasks",
        namespace: "mine",
        maxConnections: 2,
        keepHeaders: ["x-tenant"],
        keyScope: ["user"],
        retentionMs: 1,
        schedules: false,
        leaseMs: 100,
      },
      http: {
        cors: true,
        maxBodyBytes: "1KiB",
        maxBodyDepth: 1,
        maxBodyValues: 1,
        maxHeaderBytes: 2048,
        bodyTimeoutMs: 1,
        contextTimeoutMs: 1,
        streamIdleMs: 1,
        heartbeatMs: 1,
        keepAliveMs: 1000,
        maxConnections: 1,
        accessLog: false,
        docs: false,
        openapi: false,
        schema: false,
        metrics: false,
        allowedHosts: ["app.example"],
        tlsCert: "tls.crt",
        tlsKey: "tls.key",
        http2: true,
        trustProxy: ["10.0.0.0/8"],
      },
      version: "1.0.0",
      description: "d",
      labels: { a: "b" },
      placement: "thread",
      group: "text",
      replicas: { min: 1, max: 2 },
      resources: { cpu: "500m", memory: "1Gi", gpu: 0.5, gpuType: "a100" },
      build: { assets: ["models/**"] },
      startTimeoutMs: 1,
      waitForReplicaMs: 0,
      liveness: { intervalMs: 10, suspendAfterMs: 20, replaceAfterMs: 30, warmUpMs: 40 },
      restart: { backoffMs: 1, maxBackoffMs: 2, resetAfterMs: 100, giveUpAfter: 0, slowBackoffMs: 1 },
      env: { A: "b" },
      timeoutMs: 1,
      maxConcurrent: 1,
      maxQueued: 0,
      idempotent: true,
      attempts: 1,
      retryBackoffMs: 1,
      batch: { maxRows: 8, targetLatencyMs: 50, windowMs: 2, maxConcurrent: 2 },
      cache: { ttlMs: 1, maxEntries: 2, maxBytes: "1KiB" },
      services: { Model: { apis: { run: { timeoutMs: 2 } } } },
    };
    const declared = {
      entry: "Model",
      services: [{ name: "Model", options: {}, apis: [{ name: "run", options: { batch: {}, cache: {} } }] }],
    };
    const { faults, report } = resolveOptions(declared, { flags: {}, env: {}, appFile: { path: "f.ts", value: file } });
    assert.deepEqual(faults, []);
    assert.deepEqual(
      report.filter(({ source }) => source !== "app file").map(({ option }) => option),
      ["name"],
    );
  });
});
