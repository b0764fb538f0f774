import type { CallScope } from "../call/call-scope.js";
import { ServingError } from "../failure/serving-error.js";
import type { CallRoute } from "./call-route.js";
import type { HeldCall } from "./directory.js";

/**
 * Keeps a call while no replica of its service is ready: a replica that crashed is back within a second, and its callers
 * should not have to know. Bounded by the service's `holdMs`, the call's deadline, and how many are held already.
 *
 * @param call Resumed or refused once, unless the call is cancelled before; its scope then answers by itself.
 */
export function holdCall({ links, holdMs, time }: CallRoute, scope: CallScope, call: HeldCall): void {
  if (scope.isEnded) return;
  const place = links.hold({
    resume: () => {
      end();
      scope.sentAt = time.clock.now();
      call.resume();
    },
    refuse: (error) => {
      end();
      call.refuse(error);
    },
  });
  if (place instanceof ServingError) {
    call.refuse(place);
    return;
  }
  const timer = time.clock.setTimer(() => {
    links.release(place);
    end();
    call.refuse(links.refusal());
  }, holdMs);
  const leave = () => {
    links.release(place);
    timer.clear();
  };
  const end = () => {
    timer.clear();
    scope.offCancel(leave);
  };
  scope.onCancel(leave);
}
