// The context of a call, as an app file gives it and as an api sees it; the response that an api sets.
import {
  type AppFile,
  api,
  type ContextOf,
  type ContextRequest,
  currentCall,
  type ReadContext,
  Service,
  serve,
} from "ekiben";
import { anyOf, apiKeys, type JwtContext, jwt, type KeyContext } from "ekiben/auth";
import { compose } from "ekiben/testing";
import { z } from "zod";
import { expectSame, expectType } from "./expect.js";

const app = {
  port: 3000,
  context: async (request) => {
    expectType<ContextRequest>()(request);
    expectType<string | undefined>()(request.headers["authorization"]);
    expectType<AbortSignal>()(request.signal);
    // @ts-expect-error headers are those of the request
    request.headers["authorization"] = "";
    return { user: "ann", roles: ["admin"] };
  },
} satisfies AppFile;

// One declaration types `currentCall().context` everywhere in the program.
declare module "ekiben" {
  interface Register {
    context: ContextOf<typeof app>;
  }
}

class Shop extends Service() {
  who = api({ output: z.string() }, () => {
    const { context } = currentCall();
    expectSame<typeof context, { user: string; roles: string[] } | undefined>();
    // @ts-expect-error a scheduled task, a batch, a cached api have none
    void context.user;
    // @ts-expect-error a field that the context does not have
    void context?.name;
    // @ts-expect-error the context of a call is read, not set
    currentCall().context = context;
    const known = currentCall().requireContext();
    expectSame<typeof known, { user: string; roles: string[] }>();
    // @ts-expect-error a field that the context does not have
    void known.name;
    return known.user;
  });
}

// A context may be given at once, be absent, or be of any JSON type.
expectSame<ContextOf<{ context: () => string }>, string>();
expectSame<ContextOf<{ port: number }>, undefined>();
expectSame<ContextOf<AppFile>, undefined>();
// @ts-expect-error not a function
void ({ context: { user: "ann" } } satisfies AppFile);

// Tests and programs.
async function inTests() {
  await using one = await compose(Shop, { context: { user: "ann", roles: [] } });
  await using each = await compose(Shop, { context: () => ({ user: "ann", roles: [] }) });
  // @ts-expect-error not the registered context
  await compose(Shop, { context: { name: "ann" } });
  void [one, each];
  await serve(Shop, { context: app.context });
}
void inTests;

// Keys and tokens.
const keys = apiKeys({ file: "keys.txt" });
const tokens = jwt({ secret: "", issuer: "me", audience: "you" });
expectSame<ContextOf<{ context: typeof keys }>, KeyContext>();
expectSame<ContextOf<{ context: typeof tokens }>, JwtContext>();
const either = anyOf(keys, tokens, () => "guest" as const);
expectSame<ContextOf<{ context: typeof either }>, KeyContext | JwtContext | "guest">();
void (either satisfies ReadContext);
// @ts-expect-error a token must name an issuer and an audience
jwt({ secret: "" });

// The response.
api({ status: 201, output: z.string() }, () => {
  const { response } = currentCall();
  response.status(202);
  response.header("x-a", 1);
  response.cookie("a", "1", { httpOnly: true, sameSite: "lax", maxAge: 60 });
  response.redirect("/home", 302);
  response.clearCookie("a");
  response.clearCookie("a", { path: "/app", domain: "example.org" });
  // @ts-expect-error its age is 0
  response.clearCookie("a", { maxAge: 60 });
  // @ts-expect-error a value that no header has
  response.header("x-a", { a: 1 });
  // @ts-expect-error an attribute that no cookie has
  response.cookie("a", "1", { httponly: true });
  // @ts-expect-error a policy that does not exist
  response.cookie("a", "1", { sameSite: "all" });
  return "";
});
// @ts-expect-error a status that no answer has; a ServingError has it
api({ status: 404, output: z.string() }, () => "");
