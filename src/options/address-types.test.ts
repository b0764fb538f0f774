import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { formatSocketAddress, isLoopbackHost, socketAddress } from "./address-types.js";

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
