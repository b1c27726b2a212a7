import type { Laggard } from './bring-keyrings.ts';

/** One line a sidecar, for a message. */
export function laggardList(laggards: readonly Laggard[]): string {
  return laggards.map(({ place, why }) => `  ${place}: ${why}`).join('\n');
}
