import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatAddress, formatSocketAddress, isLoopbackHost, remoteAddresses, socketAddress } from "./address-types.js";

describe("socketAddress", () => {
  it("reads an address and a port, and writes it as it was given", () => {
    for (const [text, host, port] of [
      ["0.0.0.0:7000", "0.0.0.0", 7000],
      ["localhost:0", "localhost", 0],
      ["[::]:65535", "::", 65_535],
      ["[fe80::1%eth0]:7000", "fe80::1%eth0", 7000],
    ] as const) {
      const read = socketAddress.fromText(text);
      assert.deepEqual(read, { host, port });
      assert.equal(formatSocketAddress({ host, port }), text);
    }
  });

  it("refuses anything else", () => {
    const texts = ["", "7000", ":7000", "::1:7000", "host:", "host:65536", "host:7000/x", "[host]:7000", "a b:7000"];
    for (const text of texts) assert.equal(socketAddress.fromText(text), undefined, text);
    for (const value of [7000, {}, undefined]) assert.equal(socketAddress.fromCode(value), undefined);
  });
});

describe("isLoopbackHost", () => {
  it("is true for addresses that only this machine reaches, and no other name than localhost", () => {
    for (const host of ["127.0.0.1", "127.1.2.3", "localhost", "::1", "::ffff:127.0.0.1"])
      assert.equal(isLoopbackHost(host), true, host);
    for (const host of ["0.0.0.0", "::", "10.0.0.1", "127.example", "localhost.example", "1::1"])
      assert.equal(isLoopbackHost(host), false, host);
  });
});

const readRemote = (text: string) => remoteAddresses.fromText(text)?.map(formatAddress);

describe("remoteAddresses", () => {
  it("reads hosts, IP addresses and names of SRV records, several with commas or on lines", () => {
    assert.deepEqual(readRemote("tls://ranker:7000"), ["tls://ranker:7000"]);
    assert.deepEqual(readRemote("tls://[fd00::7]:7000"), ["tls://[fd00::7]:7000"]);
    assert.deepEqual(readRemote("tls+srv://_ekiben._tcp.ranker.example"), ["tls+srv://_ekiben._tcp.ranker.example"]);
    assert.deepEqual(readRemote(" tls://a:1,\n tls://10.0.0.2:2\n"), ["tls://a:1", "tls://10.0.0.2:2"]);
    assert.deepEqual(remoteAddresses.fromCode(["tls://a:1", "tls://b:2"]), [
      { scheme: "tls", host: "a", port: 1 },
      { scheme: "tls", host: "b", port: 2 },
    ]);
  });

  it("takes plain TCP on a loopback address alone", () => {
    for (const text of ["tcp://127.0.0.1:7000", "tcp://127.9.9.9:1", "tcp://[::1]:7000", "tcp://localhost:7000"]) {
      assert.deepEqual(readRemote(text), [text]);
    }
    for (const text of ["tcp://10.0.0.1:7000", "tcp://ranker:7000", "tcp://[fd00::1]:7000", "tcp://127.0.0.1.evil:1"]) {
      assert.equal(readRemote(text), undefined, text);
    }
    assert.deepEqual(["::1", "::11", "::"].map(isLoopbackHost), [true, false, false]);
  });

  it("refuses what would be understood in another way than it is written", () => {
    const wrong = [
      ...["", ",", "ranker:7000", "http://ranker:7000", "tls://ranker", "tls://ranker:0", "tls://ranker:65536"],
      ...["tls://user@ranker:7000", "tls://ranker:7000/path", "tls://ranker:7000?x=1", "tls://a..b:1", "tls://:7000"],
      ...[
        "tls+srv://ranker:7000",
        "tls+srv://",
        "tls://a:1,nonsense",
        `tls://${"a".repeat(64)}:1`,
        "tls://[10.0.0.1]:1",
      ],
    ];
    for (const text of wrong) assert.equal(readRemote(text), undefined, text);
    assert.equal(remoteAddresses.fromCode(7000), undefined);
    assert.equal(remoteAddresses.fromCode(["tls://a:1", 7]), undefined);
    assert.equal(remoteAddresses.fromCode(Array.from({ length: 65 }, (_, i) => `tls://a${i}:1`)), undefined);
  });

  it("shows a service without an address as one that runs here", () => {
    assert.equal(remoteAddresses.format([]), "here");
    assert.deepEqual([remoteAddresses.fromText("here"), remoteAddresses.fromCode([])], [[], []]);
  });
});
