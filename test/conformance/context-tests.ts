import assert from "node:assert/strict";
import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { describe, it } from "node:test";
import { threadId } from "node:worker_threads";
import { type ContextRequest, serve } from "ekiben";
import { compose } from "ekiben/testing";
import type { FastifyInstance } from "fastify";
import { Downstairs, Upstairs } from "./services/stairs.js";
import { type SeenCall, Work } from "./services/work.js";
import { collect, type Suite } from "./suite.js";

/** Sends a request with these raw headers, names and values in turn. */
async function postWith(url: string, headers: readonly string[]): Promise<SeenCall[]> {
  const { host, port } = new URL(url);
  const sent = request({
    port,
    host: "127.0.0.1",
    path: "/calls",
    method: "POST",
    headers: ["host", host, ...headers],
  });
  sent.end();
  const [response] = (await once(sent, "response")) as [IncomingMessage];
  return JSON.parse(Buffer.concat(await response.toArray()).toString()) as SeenCall[];
}

/** Facts that all calls of one request share. */
const shared = ({ requestId, traceId, traceparent, headers }: SeenCall) => ({
  ...{ requestId, traceId, traceparent, headers },
});

export function testContext({ app, placement }: Suite): void {
  const work = () => app().service(Work);

  describe("the context of a call", () => {
    it("is where the placement says", async () => {
      const place = (await work().place()) as { pid: number; threadId: number };
      const isHere = { pid: place.pid === process.pid, thread: place.threadId === threadId };
      if (placement === "process") assert.equal(isHere.pid, false);
      else assert.deepEqual(isHere, { pid: true, thread: placement === "inline" });
    });

    it("names its caller, at every hop", async () => {
      const calls = (await app().entry.calls()) as SeenCall[];
      assert.deepEqual(
        calls.map(({ caller }) => caller),
        [
          { service: "local", api: "" },
          { service: "Front", api: "calls" },
          { service: "Middle", api: "calls" },
        ],
      );
    });

    it("has the same request, trace and headers at every hop", async () => {
      const calls = ((await app().entry.calls()) as SeenCall[]).map(shared);
      const first = calls[0] as SeenCall;
      assert.deepEqual(calls, [first, first, first]);
      assert.match(first.traceId, /^[0-9a-f]{32}$/);
      assert.match(first.traceparent, new RegExp(`^00-${first.traceId}-[0-9a-f]{16}-[0-9a-f]{2}$`));
      assert.notEqual(first.requestId, "");
    });

    it("is another for another request", async () => {
      const [one, other] = [
        ((await app().entry.calls()) as SeenCall[])[0],
        ((await app().entry.calls()) as SeenCall[])[0],
      ];
      assert.notEqual(one?.requestId, other?.requestId);
      assert.notEqual(one?.traceId, other?.traceId);
    });

    it("is kept over awaits, timers, ticks and microtasks", async () => {
      const seen = (await work().callLater()) as Record<string, SeenCall>;
      assert.equal(Object.keys(seen).length, 7);
      const { remainingMs: _, ...first } = seen["at once"] as SeenCall;
      for (const [when, { remainingMs: __, ...call }] of Object.entries(seen)) assert.deepEqual(call, first, when);
    });

    it("is not mixed up among calls that run at the same time", async () => {
      const numbers = Array.from({ length: 60 }, (_, i) => i);
      const near = numbers.map((n) => work().callOnce(n));
      const far = numbers.map((n) => app().entry.relay({ to: "work", api: "callOnce", input: n }));
      for (const calls of [await Promise.all(near), await Promise.all(far)] as { n: number; requestId: string }[][]) {
        assert.deepEqual(
          calls.map(({ n }) => n),
          numbers,
        );
        assert.equal(new Set(calls.map(({ requestId }) => requestId)).size, numbers.length);
      }
    });

    it("is shared by all calls of one api", async () => {
      const { own, detached, attached } = await app().entry.detachedCall();
      assert.deepEqual(shared(attached), shared(own));
      assert.equal(detached.requestId, own.requestId);
    });

    it("has the priority its caller asked for, or has itself, over every hop", async () => {
      const ask = { to: "work", api: "priority" } as const;
      assert.equal(await work().priority(), "interactive");
      assert.equal(await work().priority(undefined, { priority: "background" }), "background");
      assert.equal(await app().entry.relay(ask, { priority: "background" }), "background");
      assert.equal(await app().entry.relayDetached(ask, { priority: "background" }), "background");
      assert.equal(await app().entry.relayFirst(ask, { priority: "background" }), "interactive");
    });

    it("is absent where no api runs", async () => {
      assert.equal(await work().outside(), "no_current_call");
    });

    it("has at every hop what came with an HTTP request", async () => {
      const options = { logLevel: "silent", placement } as const;
      const server = await serve(Upstairs, { port: 0, host: "127.0.0.1", env: {}, options });
      try {
        const traceId = "0af7651916cd43dd8448eb211c80319c";
        const traceparent = `00-${traceId}-b7ad6b7169203331-01`;
        const calls = await postWith(server.url, [
          ...["x-request-id", "from-outside-1", "traceparent", traceparent, "X-Custom", "kept"],
          ...["set-cookie", "a=1", "x-twice", "1", "x-twice", "2", "constructor", "c", "x-latin", "\xe9"],
        ]);
        assert.deepEqual(
          calls.map(({ caller }) => `${caller.service}.${caller.api}`),
          ["http./calls", "Upstairs.calls"],
        );
        for (const call of calls) {
          assert.deepEqual([call.requestId, call.traceId, call.traceparent], ["from-outside-1", traceId, traceparent]);
          const { "x-custom": custom, "set-cookie": cookie, "x-twice": twice, "x-latin": latin } = call.headers;
          assert.deepEqual([custom, cookie, twice, latin], ["kept", "a=1", "1, 2", "\xe9"]);
          assert.equal(Object.hasOwn(call.headers, "constructor"), true);
          assert.deepEqual(shared(call), shared(calls[0] as SeenCall));
        }
      } finally {
        await server.close();
      }
    });

    it("has at every hop what the app's context function gave for an HTTP request", async () => {
      const options = { logLevel: "silent", placement } as const;
      const context = ({ headers }: ContextRequest) => ({ user: headers["x-user"], roles: ["reader"] });
      const server = await serve(Upstairs, { port: 0, host: "127.0.0.1", env: {}, options, context });
      try {
        const ask = (path: string) => fetch(`${server.url}/${path}`, { method: "POST", headers: { "x-user": "ann" } });
        const ann = { user: "ann", roles: ["reader"] };
        assert.deepEqual(await (await ask("who")).json(), [ann, ann, ann]);
        const lines = (await (await ask("whoItems")).text()).trim().split("\n");
        assert.deepEqual(
          lines.map((line) => JSON.parse(line)),
          [ann, ann],
        );
      } finally {
        await server.close();
      }
    });

    it("has at every hop the context that a test gives", async () => {
      let user = "ann";
      await using own = await compose(Upstairs, { placement, context: () => ({ user }) });
      assert.deepEqual(await own.entry.who(), [{ user }, { user }, { user }]);
      user = "bob";
      assert.deepEqual(await collect(own.entry.whoItems()), [{ user: "bob" }, { user: "bob" }]);
      assert.deepEqual(await own.service(Downstairs).who(), { user: "bob" });
    });

    it("sets the response to its HTTP request, and nothing of it after the first item", async () => {
      const options = { logLevel: "silent", placement } as const;
      const fastify = () => {};
      const server = await serve(Upstairs, { port: 0, host: "127.0.0.1", env: {}, options, fastify });
      try {
        const ask = (path: string) => fetch(`${server.url}/${path}`, { method: "POST" });
        const answer = await ask("respond");
        assert.deepEqual([answer.status, await answer.json()], [201, "done"]);
        assert.equal(answer.headers.get("x-step"), "1");
        assert.deepEqual(answer.headers.getSetCookie(), ["step=2; Path=/; HttpOnly; Secure; SameSite=Lax"]);
        const items = await ask("respondItems");
        assert.deepEqual([items.status, items.headers.get("x-step"), items.headers.get("x-late")], [202, "1", null]);
        assert.match(await items.text(), /^first.*the first item of the stream was sent/);
      } finally {
        await server.close();
      }
      await using own = await compose(Upstairs, { placement });
      assert.equal(await own.entry.respond(), "done");
    });

    it("has at every hop what a hook has made of the headers", async () => {
      const fastify = (instance: FastifyInstance) => {
        instance.addHook("onRequest", async ({ headers }) => {
          headers["x-user"] = "ann";
          delete headers["authorization"];
        });
      };
      const options = { logLevel: "silent", placement } as const;
      const server = await serve(Upstairs, { port: 0, host: "127.0.0.1", env: {}, options, fastify });
      try {
        const given = ["authorization", "Bearer t", "x-user", "somebody else"];
        for (const { headers } of await postWith(server.url, given)) {
          assert.deepEqual([headers["x-user"], headers["authorization"]], ["ann", undefined]);
        }
      } finally {
        await server.close();
      }
    });
  });
}
