import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fieldPaths, headerNames, hostNames, origins, proxies } from "./list-types.js";
import { secret } from "./secret.js";
import {
  bool,
  choice,
  cores,
  deviceIds,
  devices,
  folder,
  inspectTargets,
  integer,
  milliseconds,
  namespace,
  replicaRange,
  size,
  storeUrl,
  textRecord,
  type ValueType,
  variables,
  words,
} from "./value-types.js";

interface Case {
  readonly name: string;
  readonly type: ValueType<any>;
  /** Text → value; `undefined` where it is refused. */
  readonly texts?: readonly (readonly [string, unknown])[];
  readonly values?: readonly (readonly [unknown, unknown])[];
  readonly formats?: readonly (readonly [unknown, string])[];
}

const range = (min: number, max: number, targetInFlight = 8) => ({ min, max, targetInFlight });

const cases: readonly Case[] = [
  {
    name: "proxies",
    type: proxies,
    texts: [
      ["true", true],
      ["false", false],
      ["10.0.0.0/8, loopback, ::1, fd00::/8", ["10.0.0.0/8", "loopback", "::1", "fd00::/8"]],
      ["", undefined],
      ["2", undefined],
      ["10.0.0.0/33", undefined],
      ["10.0.0.0/8/8", undefined],
      ["proxy.example", undefined],
    ],
    values: [
      [["10.0.0.1"], ["10.0.0.1"]],
      ["uniquelocal", ["uniquelocal"]],
      [[], undefined],
      [1, undefined],
    ],
    formats: [
      [true, "all"],
      [false, "none"],
      [["10.0.0.1", "::1"], "10.0.0.1, ::1"],
    ],
  },
  {
    name: "names of hosts",
    type: hostNames,
    texts: [
      ["app.example, .Other.example", ["app.example", ".other.example"]],
      ["none", []],
      ["true", true],
      ["false", ["false"]],
      ["", undefined],
      ["app.example:80", undefined],
      ["http://app.example", undefined],
      ["*", undefined],
      ["..example", undefined],
    ],
    values: [
      [true, true],
      [[], []],
      [["My_host-1"], ["my_host-1"]],
      ["one.example", ["one.example"]],
      [false, undefined],
      [[1], undefined],
    ],
    formats: [
      [true, "any name"],
      [[], "none"],
      [["a", "b"], "a, b"],
    ],
  },
  {
    name: "names of headers",
    type: headerNames,
    texts: [
      ["X-Tenant,x-b", ["x-tenant", "x-b"]],
      ["none", []],
      ["x y", undefined],
      ["", undefined],
    ],
    values: [
      [["Accept-Language"], ["accept-language"]],
      [[], []],
      ["x-tenant", ["x-tenant"]],
      [["x:"], undefined],
      [true, undefined],
    ],
    formats: [
      [[], "none"],
      [["a", "b"], "a, b"],
    ],
  },
  {
    name: "paths of fields",
    type: fieldPaths,
    texts: [
      ["user, claims.Tenant", ["user", "claims.Tenant"]],
      ["none", []],
      ["a..b", undefined],
      ["a b", undefined],
      ["", undefined],
    ],
    values: [
      [["user"], ["user"]],
      [[], []],
      ["claims.sub", ["claims.sub"]],
      [[".a"], undefined],
      [[1], undefined],
    ],
    formats: [
      [[], "none"],
      [["a", "b.c"], "a, b.c"],
    ],
  },
  {
    name: "environment variables",
    type: variables,
    values: [
      [
        { A: "1", B: secret("B") },
        { A: "1", B: secret("B") },
      ],
      [{ A: 1 }, undefined],
      [{ A: { value: () => "1" } }, undefined],
      [[], undefined],
    ],
    formats: [
      [{}, "(none)"],
      [{ A: "1", B: secret("B") }, "A=1 B=***"],
    ],
  },
  {
    name: "replicas to debug",
    type: inspectTargets,
    texts: [
      ["Model", [{ service: "Model", index: 0, port: 0 }]],
      [
        "Model#1=9230,Other#2",
        [
          { service: "Model", index: 1, port: 9230 },
          { service: "Other", index: 2, port: 0 },
        ],
      ],
      ["Model#0=65536", undefined],
      ["Model#x", undefined],
      ["Model,", undefined],
      ["", undefined],
    ],
    values: [
      [1, undefined],
      [[1], undefined],
      [["Model"], [{ service: "Model", index: 0, port: 0 }]],
      ["Model=1", [{ service: "Model", index: 0, port: 1 }]],
    ],
    formats: [
      [[], "none"],
      [
        [
          { service: "Model", index: 1, port: 9230 },
          { service: "Other", index: 2, port: 0 },
        ],
        "Model#1=9230,Other#2",
      ],
    ],
  },
  {
    name: "integer",
    type: integer({ min: 0, max: 65_535 }),
    texts: [
      ["0", 0],
      ["65535", 65_535],
      ["65536", undefined],
      ["-1", undefined],
      ["1.5", undefined],
      ["1e3", undefined],
      ["", undefined],
      [" 1", undefined],
    ],
    values: [
      [3000, 3000],
      ["3000", undefined],
      [Number.NaN, undefined],
      [null, undefined],
      [1.5, undefined],
    ],
  },
  {
    name: "milliseconds",
    type: milliseconds(1),
    texts: [
      ["500", 500],
      ["0", undefined],
      ["30s", undefined],
      ["2147483648", undefined],
    ],
    values: [[Number.POSITIVE_INFINITY, undefined]],
    formats: [[500, "500 ms"]],
  },
  {
    name: "choice",
    type: choice(["all", "boundary"]),
    texts: [
      ["all", "all"],
      ["ALL", undefined],
    ],
    values: [[true, undefined]],
  },
  {
    name: "bool",
    type: bool,
    texts: [
      ["true", true],
      ["0", false],
      ["off", false],
      ["maybe", undefined],
    ],
    values: [
      [false, false],
      ["true", undefined],
    ],
  },
  {
    name: "words",
    type: words("a name", "<name>"),
    texts: [
      ["Model", "Model"],
      ["a b", undefined],
      ["", undefined],
    ],
    values: [[3, undefined]],
  },
  {
    name: "textRecord",
    type: textRecord,
    values: [
      [{ a: "b" }, { a: "b" }],
      [{ a: 1 }, undefined],
      [["a"], undefined],
    ],
    formats: [
      [{}, "(none)"],
      [{ a: "b", c: "d" }, "a=b c=d"],
    ],
  },
  {
    name: "size",
    type: size(1),
    texts: [
      ["16MiB", 16 * 1024 ** 2],
      ["16Mi", 16 * 1024 ** 2],
      ["16mb", 16_000_000],
      ["1.5Ki", 1536],
      ["1048576", 1_048_576],
      ["12 B", 12],
      ["0", undefined],
      ["0.3", undefined],
      ["-5", undefined],
      ["2Xi", undefined],
      ["Infinity", undefined],
    ],
    values: [
      [1024, 1024],
      ["2Gi", 2 * 1024 ** 3],
      [Number.POSITIVE_INFINITY, undefined],
      [1.5, undefined],
    ],
    formats: [
      [16 * 1024 ** 2, "16 MiB"],
      [1500, "1500 bytes"],
      [1, "1 byte"],
    ],
  },
  {
    name: "size without bound",
    type: size(1, true),
    texts: [["Infinity", Number.POSITIVE_INFINITY]],
    values: [[Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY]],
    formats: [[Number.POSITIVE_INFINITY, "no bound"]],
  },
  {
    name: "cores",
    type: cores,
    texts: [
      ["2", 2],
      ["0.5", 0.5],
      ["500m", 0.5],
      ["0", undefined],
      ["0m", undefined],
      ["half", undefined],
    ],
    values: [
      [0.25, 0.25],
      ["250m", 0.25],
      [0, undefined],
      [Number.POSITIVE_INFINITY, undefined],
    ],
  },
  {
    name: "devices",
    type: devices,
    texts: [
      ["1", 1],
      ["0.5", 0.5],
      ["1.5", undefined],
    ],
    values: [
      [0, 0],
      [-1, undefined],
    ],
  },
  {
    name: "deviceIds",
    type: deviceIds,
    texts: [
      ["auto", "auto"],
      ["0", [0]],
      ["0,1", [0, 1]],
      ["3, 1", [3, 1]],
      ["none", []],
      ["0,0", undefined],
      ["0,", undefined],
      ["-1", undefined],
      ["1.5", undefined],
      ["GPU-1", undefined],
      ["", undefined],
    ],
    values: [
      ["auto", "auto"],
      [
        [2, 0],
        [2, 0],
      ],
      [[], []],
      [[1, 1], undefined],
      [["0"], undefined],
      [[-1], undefined],
      [2, undefined],
      ["0,1", undefined],
    ],
    formats: [
      ["auto", "auto"],
      [[0, 1], "0,1"],
      [[], "none"],
    ],
  },
  {
    name: "replicaRange",
    type: replicaRange,
    texts: [
      ["4", range(4, 4)],
      ["1..4", range(1, 4)],
      ["4..1", undefined],
      ["0", undefined],
      ["0..2", undefined],
    ],
    values: [
      [3, range(3, 3)],
      [{ min: 1, max: 4, targetInFlight: 2 }, range(1, 4, 2)],
      [{ min: 1 }, undefined],
      [{ min: 1, max: 2, step: 1 }, undefined],
      [2.5, undefined],
    ],
    formats: [
      [range(4, 4), "4"],
      [range(1, 4), "1..4, 8 in flight each"],
    ],
  },
  {
    name: "origins",
    type: origins,
    texts: [
      ["*", true],
      ["false", false],
      ["https://a.example, http://localhost:5173", ["https://a.example", "http://localhost:5173"]],
      ["a.example", undefined],
      ["https://a.example/path", undefined],
    ],
    values: [
      [true, true],
      [["https://a.example"], ["https://a.example"]],
      [[], undefined],
      [["x"], undefined],
    ],
  },
];

const storeCases: readonly Case[] = [
  {
    name: "folder",
    type: folder(".ekiben beside the app"),
    texts: [["/var/lib/my app", "/var/lib/my app"]],
    values: [
      ["", ""],
      [7, undefined],
    ],
    formats: [
      ["", ".ekiben beside the app"],
      ["/srv", "/srv"],
    ],
  },
  {
    name: "namespace",
    type: namespace("the app's own"),
    texts: [
      ["@acme/shop:blue", "@acme/shop:blue"],
      ["x".repeat(200), "x".repeat(200)],
      ["x".repeat(201), undefined],
      ["two words", undefined],
      ["ä", undefined],
    ],
    values: [
      ["", ""],
      [7, undefined],
    ],
    formats: [
      ["", "the app's own"],
      ["mine", "mine"],
    ],
  },
  {
    name: "storeUrl",
    type: storeUrl,
    texts: [
      ["sqlite", "sqlite"],
      ["postgres://localhost/tasks", "postgres://localhost/tasks"],
      ["postgresql://u:p@[::1]:5433/tasks?sslmode=require", "postgresql://u:p@[::1]:5433/tasks?sslmode=require"],
      ["postgres://u:p@host:port/tasks", undefined],
      ["mysql://localhost/tasks", undefined],
      ["tasks.db", undefined],
      ["", undefined],
    ],
    values: [
      [1, undefined],
      [{ value: () => "sqlite" }, undefined],
    ],
    formats: [
      ["sqlite", "sqlite"],
      ["postgres://u:p%40ss@host/tasks?password=p", "postgres://u:***@host/tasks"],
      ["postgres://u@host/tasks", "postgres://u@host/tasks"],
    ],
  },
];

describe("value types", () => {
  for (const { name, type, texts = [], values = [], formats = [] } of [...cases, ...storeCases]) {
    it(`read and write ${name}`, () => {
      for (const [text, expected] of texts) assert.deepEqual(type.fromText(text), expected, `text ${text}`);
      for (const [value, expected] of values) assert.deepEqual(type.fromCode(value), expected, `value ${value}`);
      for (const [value, expected] of formats) assert.equal(type.format(value), expected);
    });
  }
});
