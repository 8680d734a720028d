/** Seconds before the nth try to reconnect: doubling from half a second to 15, spread by `chance` in 0..1. */
export function backoffSeconds(attempt: number, chance: number): number {
  const longest = Math.min(15, 0.5 * 2 ** Math.min(attempt, 10));
  // Spread over the upper half, so that a thousand pages do not come back in the same instant.
  return longest * (0.5 + 0.5 * chance);
}
