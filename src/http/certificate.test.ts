import assert from "node:assert/strict";
import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { SecureContextOptions } from "node:tls";
import { fileURLToPath } from "node:url";
import { LogBook } from "../../test/conformance/suite.js";
import { FakeClock } from "../../test/fake-clock.js";
import { Certificate, checkCertificate } from "./certificate.js";

const fixture = (name: string) => fileURLToPath(new URL(`../../test/fixtures/tls/${name}`, import.meta.url));

describe("Certificate", () => {
  let folder: string;
  let paths: { readonly tlsCert: string; readonly tlsKey: string };
  const install = (name: "first" | "second") => {
    copyFileSync(fixture(`${name}.crt`), paths.tlsCert);
    copyFileSync(fixture(`${name}.key`), paths.tlsKey);
  };
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "ekiben-certificate-"));
    paths = { tlsCert: join(folder, "tls.crt"), tlsKey: join(folder, "tls.key") };
    install("first");
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  /** A certificate with the contexts that it has set. */
  function follow() {
    const [clock, log, contexts]: [FakeClock, LogBook, SecureContextOptions[]] = [new FakeClock(), new LogBook(), []];
    const certificate = new Certificate(paths, log.logger, clock);
    certificate.follow({ setSecureContext: (context) => contexts.push(context) });
    return { certificate, clock, log, contexts };
  }

  it("gives a server the renewed files, once for each renewal", () => {
    const { certificate, clock, contexts } = follow();
    clock.advance(60_000);
    assert.equal(contexts.length, 0);
    install("second");
    clock.advance(60_000);
    assert.equal(contexts.length, 1);
    assert.match(String(contexts[0]?.cert), /BEGIN CERTIFICATE/);
    assert.notDeepEqual(contexts[0]?.cert, certificate.pair.cert);
    certificate.close();
    assert.equal(clock.pendingTimers, 0);
  });

  it("keeps what it has while the files can't be used, and says so once", () => {
    const { clock, log, contexts } = follow();
    copyFileSync(fixture("second.crt"), paths.tlsCert);
    clock.advance(60_000);
    assert.equal(contexts.length, 0);
    const said = log.all().filter(({ message = "" }) => message.includes("keeps the certificate that it has"));
    assert.equal(said.length, 1);
    assert.match(said[0]?.message ?? "", /tls\.crt with the key .*tls\.key can't be used/);
    copyFileSync(fixture("second.key"), paths.tlsKey);
    clock.advance(10_000);
    assert.equal(contexts.length, 1);
    rmSync(paths.tlsKey);
    clock.advance(60_000);
    assert.equal(contexts.length, 1);
  });

  it("is refused before a start when it can't be used, with both paths", () => {
    const use =
      (tlsCert: string, tlsKey: string, http2 = false) =>
      () =>
        checkCertificate({ tlsCert, tlsKey, http2 });
    use("", "")();
    use(paths.tlsCert, paths.tlsKey, true)();
    const id = "certificate_unusable";
    assert.throws(use(paths.tlsCert, ""), { id, message: /tls\.crt with the key \(none\) can't be used/ });
    assert.throws(use("", paths.tlsKey), { id, message: /certificate \(none\)/ });
    assert.throws(use("", "", true), { id, fix: /http\.http2 needs both/ });
    assert.throws(use(paths.tlsCert, fixture("second.key")), { id, message: /can't be used: .*mismatch/ });
    writeFileSync(paths.tlsCert, "no certificate");
    assert.throws(use(paths.tlsCert, paths.tlsKey), { id });
  });
});
