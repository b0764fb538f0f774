import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bareHost, listenFailure } from "./listen-failure.js";

describe("an address that can't be listened on", () => {
  it("is told with host, port and what to do, whatever the system says", () => {
    const ids = {
      EADDRINUSE: "port_in_use",
      EADDRNOTAVAIL: "address_unavailable",
      EAFNOSUPPORT: "address_unavailable",
      EACCES: "port_denied",
      EPERM: "port_denied",
      ENOTFOUND: "host_unknown",
      EAI_AGAIN: "host_unknown",
      EMFILE: "cannot_listen",
    };
    for (const [code, id] of Object.entries(ids)) {
      const error = Object.assign(new Error(`listen ${code}`), { code });
      const failure = listenFailure(error, { host: "h.example", port: 80 });
      assert.equal(failure.id, id);
      for (const part of ["h.example", "80"]) assert.ok(failure.message.includes(part), failure.message);
      assert.notEqual(failure.fix, undefined);
      assert.equal(failure.cause, error);
    }
  });

  it("may be given with the brackets of a URL", () => {
    assert.deepEqual(["[::1]", "::1", "localhost"].map(bareHost), ["::1", "::1", "localhost"]);
  });
});
