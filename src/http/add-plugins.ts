import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { fail } from "../failure/failures.js";
import { ServingError } from "../failure/serving-error.js";
import { messageOf } from "../failure/to-serving-error.js";

/** Answers requests that no route takes. */
export interface UnroutedAnswer {
  /** True when the path belongs to ekiben: an api or a document. */
  knows(request: FastifyRequest): boolean;
  answer(request: FastifyRequest, reply: FastifyReply): void;
}

/** The author's plugins, hooks and routes. */
type Configure = (fastify: FastifyInstance) => void | Promise<void>;

/** Adds ekiben's own routes. Returns the answer for requests that no route takes. */
type AddOwn = (scope: FastifyInstance) => UnroutedAnswer;

/**
 * Adds the author's plugins first and ekiben's own routes second, so that the author's hooks also apply to ekiben's
 * routes. Each side may have a handler for requests that no route takes: the author's handler answers for paths that
 * are not ekiben's.
 *
 * @param ownerOf Names the owner of one of ekiben's paths, for messages.
 * @throws {ServingError} `route_taken`; `plugins_failed` with the error that the author's code threw.
 */
export async function addPlugins(
  fastify: FastifyInstance,
  configure: Configure | undefined,
  own: { readonly add: AddOwn; readonly ownerOf: (path: string) => string },
): Promise<void> {
  let unrouted: UnroutedAnswer | undefined;
  const notFound = shareNotFound(fastify, () => unrouted);
  try {
    await configure?.(fastify);
    await fastify.register(async (scope) => {
      const answer = addOwn(scope, own);
      unrouted = answer;
      notFound.complete(scope, (request, reply) => answer.answer(request, reply));
    });
    await fastify.ready();
  } catch (error) {
    if (configure === undefined || error instanceof ServingError) throw error;
    throw fail("plugins_failed", { error: messageOf(error) }, { cause: error });
  }
}

const duplicateForm = /'([A-Z]+)' already declared for route '([^']*)'/;

function addOwn(scope: FastifyInstance, { add, ownerOf }: { add: AddOwn; ownerOf: (path: string) => string }) {
  try {
    return add(scope);
  } catch (error) {
    const { code } = error as { code?: unknown };
    const [, method, path] = code === "FST_ERR_DUPLICATED_ROUTE" ? (duplicateForm.exec(messageOf(error)) ?? []) : [];
    if (method === undefined || path === undefined) throw error;
    const shown = path.replaceAll("::", ":");
    throw fail("route_taken", { method, path: shown, owner: ownerOf(shown) });
  }
}

type Handler = (request: FastifyRequest, reply: FastifyReply) => unknown;
/** Takes options and a handler, or a handler alone. */
type SetNotFound = (this: FastifyInstance, ...given: [Handler] | [object, Handler]) => FastifyInstance;

/**
 * Fastify has one handler for requests that no route takes. The author's handler gets the paths that are not
 * ekiben's.
 */
function shareNotFound(fastify: FastifyInstance, unrouted: () => UnroutedAnswer | undefined) {
  const set = fastify.setNotFoundHandler as unknown as SetNotFound;
  let isSet = false;
  const setShared: SetNotFound = function (this: FastifyInstance, ...given) {
    if (this.prefix === "") isSet = true;
    const handler = given.at(-1);
    if (typeof handler !== "function") return set.apply(this, given);
    const shared: Handler = function (this: FastifyInstance, request, reply) {
      const own = unrouted();
      return own?.knows(request) ? own.answer(request, reply) : (handler as Handler).call(this, request, reply);
    };
    return set.apply(this, given.length === 1 ? [shared] : [given[0], shared]);
  };
  fastify.setNotFoundHandler = setShared as unknown as FastifyInstance["setNotFoundHandler"];
  return {
    /** Sets ekiben's handler when the author has set none. */
    complete(scope: FastifyInstance, handler: Handler): void {
      if (!isSet) set.call(scope, handler);
    },
  };
}
