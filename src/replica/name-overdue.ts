/** How many of the calls that hold places should have ended, in words that follow them; nothing for none. */
export const nameOverdue = (count: number): string =>
  count === 0 ? "" : `, ${count} of them by calls that timed out or were cancelled and have not ended`;
