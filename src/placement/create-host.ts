import type { ReplicaParts } from "../replica/replica.js";
import { InlineHost } from "./inline.js";
import type { ReplicaHost } from "./placement.js";

/** The placements this version has. */
export type AvailablePlacement = "inline";

/** Makes the host of one replica where its placement says. */
export function createHost(placement: AvailablePlacement, parts: ReplicaParts): ReplicaHost {
  switch (placement) {
    case "inline":
      return new InlineHost(parts);
  }
}
