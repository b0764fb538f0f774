import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectSocket } from "node:net";
import { describe, it } from "node:test";
import { type AppEvent, api, currentCall, Service, ServingError, serve } from "ekiben";
import { z } from "zod";

const text = { input: z.string(), output: z.string() };
const body = (value: unknown) => ({
  method: "POST",
  headers: { "content-type": "application/json" },
  body: JSON.stringify(value),
});

describe("a server that closes", () => {
  it("answers accepted requests, reports their number, and accepts no more", async () => {
    let finish!: () => void;
    const finished = new Promise<void>((resolve) => (finish = resolve));
    let hasStarted!: () => void;
    const started = new Promise<void>((resolve) => (hasStarted = resolve));
    class Slow extends Service() {
      run = api(text, async (value) => {
        hasStarted();
        await finished;
        return value;
      });
    }
    const events: AppEvent[] = [];
    const onEvent = (event: AppEvent) => events.push(event);
    const server = await serve(Slow, {
      port: 0,
      host: "127.0.0.1",
      onEvent,
      options: { logLevel: "silent", placement: "inline" },
    });
    const accepted = fetch(`${server.url}/run`, body("accepted"));
    await started;
    const closed = server.close();
    assert.equal(server.close(), closed);
    assert.deepEqual(events.at(-1), { kind: "draining", inFlight: 1 });
    finish();
    assert.equal(await (await accepted).json(), "accepted");
    await closed;
    assert.equal(events.at(-1)?.kind, "stopped");
    await assert.rejects(fetch(`${server.url}/run`, body("late")));
  });

  it("refuses the former name of onEvent, and says the new one", async () => {
    const options = { port: 0, onProgress: () => {} };
    class App extends Service() {}
    await assert.rejects(serve(App, options as object), { id: "renamed_option", fix: /^Rename it to onEvent/ });
  });

  it("refuses an option that stands beside options, where it would have no effect", async () => {
    class App extends Service() {}
    const appFile = { logLevel: "silent", port: 0 } as const; // its spread has no excess fields for the compiler
    const misplaced = {
      id: "misplaced_option",
      details: { option: "logLevel", source: "serve()", allowed: "its field options" },
    };
    await assert.rejects(serve(App, { ...appFile }), misplaced);
  });

  it("ends calls at the drain limit when they ignore their signal, and disconnects clients that do not read", async () => {
    let hasStarted!: () => void;
    const started = new Promise<void>((resolve) => (hasStarted = resolve));
    let reason: unknown;
    class Stuck extends Service() {
      run = api(text, async () => {
        hasStarted();
        const { signal } = currentCall();
        signal.addEventListener("abort", () => (reason = signal.reason));
        return new Promise<string>(() => {});
      });
    }
    const options = { logLevel: "silent", drainTimeoutMs: 50, placement: "inline" } as const;
    const server = await serve(Stuck, { port: 0, host: "127.0.0.1", options });
    const idle = connectSocket(server.port, "127.0.0.1");
    await once(idle, "connect");
    const cut = once(idle, "close");
    const answer = fetch(`${server.url}/run`, body("x")).then(
      (response) => response.status,
      () => "cut off",
    );
    await started;
    await server.close();
    await cut;
    assert.ok([503, "cut off"].includes(await answer));
    assert.ok(reason instanceof ServingError);
  });
});
