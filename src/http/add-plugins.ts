import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { fail } from "../failure/failures.js";
import { ServingError } from "../failure/serving-error.js";
import { messageOf } from "../failure/to-serving-error.js";

/** Who answers what no route takes. */
export interface UnroutedAnswer {
  /** Whether the path is one of ekiben's, that is, an api's or a document's. */
  knows(request: FastifyRequest): boolean;
  answer(request: FastifyRequest, reply: FastifyReply): void;
}

/** The author's plugins, hooks and routes. */
type Configure = (fastify: FastifyInstance) => void | Promise<void>;

/** Adds ekiben's own routes, and says who answers the rest of what is asked. */
type AddOwn = (scope: FastifyInstance) => UnroutedAnswer;

/**
 * Sets up the author's plugins and then ekiben's own routes, so that hooks of the former apply to the latter. Each may have a
 * handler for what no route takes: the author's answers for paths that are not ekiben's.
 *
 * @param ownerOf Whose route of ekiben's a path is, in words.
 * @throws {ServingError} `route_taken`; `plugins_failed` with what the author's own threw.
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
/** With options or without. */
type SetNotFound = (this: FastifyInstance, ...given: [Handler] | [object, Handler]) => FastifyInstance;

/** Fastify has one handler for what no route takes. The author's gets what is not ekiben's. */
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
    /** Sets ekiben's own where the author has none. */
    complete(scope: FastifyInstance, handler: Handler): void {
      if (!isSet) set.call(scope, handler);
    },
  };
}
