import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { createHostCheck, HostCheck } from "./host-check.js";

describe("HostCheck", () => {
  const check = new HostCheck(["models.lan", ".app.example"]);

  for (const host of [
    ...["localhost", "localhost:3000", "LOCALHOST", "localhost.", "a.localhost:1"],
    ...["127.0.0.1", "127.0.0.1:3000", "127.1.2.3", "[::1]", "[::1]:3000", "10.0.0.7:80", "[fe80::1]"],
    ...["models.lan:3000", "Models.LAN", "app.example", "x.app.example", "x.y.app.example:8443"],
  ]) {
    it(`takes ${host}`, () => assert.equal(check.allows(host), true));
  }

  for (const host of [
    ...["evil.example", "evil.example:3000", "localhost.evil.example", "127.0.0.1.evil.example", "127.0.0.1.nip.io"],
    ...["notlocalhost", "notapp.example", "x.models.lan", "", ":3000", "[::1", "[evil.example]", "a:b", "0x7f000001"],
    ...["localhost:3000:1", "localhost, evil.example", "localhost/x", "user@localhost", "[localhost]", "127.0.0.1.."],
  ]) {
    it(`refuses ${JSON.stringify(host)}, also after one that it took`, () => {
      assert.equal(check.allows("localhost"), true);
      assert.equal(check.allows(host), false);
      assert.equal(check.allows(host), false);
    });
  }
});

describe("createHostCheck", () => {
  it("checks servers of this machine alone, and takes the name that they were told to listen on", () => {
    for (const address of ["127.0.0.1", "127.0.1.1", "::1", "::ffff:127.0.0.1"]) {
      const check = createHostCheck({ address, port: 1 }, "My-Machine", []);
      assert.deepEqual([check?.allows("my-machine:1"), check?.allows("evil.example")], [true, false], address);
    }
    for (const address of ["0.0.0.0", "::", "192.168.1.2", "fe80::1", "1.127.0.1"]) {
      assert.equal(createHostCheck({ address, port: 1 }, address, []), undefined, address);
    }
  });

  it("checks nothing where any name is allowed, or before the server listens", () => {
    assert.equal(createHostCheck({ address: "127.0.0.1" }, "127.0.0.1", true), undefined);
    assert.equal(createHostCheck(null, "127.0.0.1", []), undefined);
  });

  it("checks a server of any address once names are listed; localhost and addresses stay, for probes", () => {
    for (const address of ["0.0.0.0", "::", "192.168.1.2", "127.0.0.1"]) {
      const check = createHostCheck({ address, port: 1 }, address, ["app.example"]);
      const taken = ["app.example:80", "localhost", "10.0.0.7:3000", "[fd00::1]", "evil.example"].map((host) =>
        check?.allows(host),
      );
      assert.deepEqual(taken, [true, true, true, true, false], address);
      assert.equal(createHostCheck({ address, port: 1 }, address, true), undefined);
    }
  });

  it("takes the names of the option", () => {
    const check = createHostCheck({ address: "::1" }, "::1", ["app.example"]);
    assert.deepEqual([check?.allows("app.example"), check?.allows("x.app.example")], [true, false]);
  });
});
