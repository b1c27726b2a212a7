import { setTimeout as delay } from 'node:timers/promises';
import { riseOfFailures } from './call-totals.ts';
import { type Host, isUp, nameOf } from './host.ts';
import type { Layout } from './layout.ts';
import { readHost } from './read-host.ts';
import { readCalls } from './read-status.ts';
import { SwapError } from './swap-error.ts';

const lookEveryMs = 1_000;
/** Looks that may find nothing: one answer that is late is no failure. */
const missesAllowed = 2;

/**
 * Watches the sidecar that serves now.
 *
 * @param forMs milliseconds
 * @param failedBefore the share of calls that failed with the sidecar before, from 0 to 1
 * @throws {SwapError} as soon as it is restarted, replaced, three looks in a row find it not ready, or clearly more calls
 *   fail than before
 */
export async function watchServing(layout: Layout, forMs: number, failedBefore: number): Promise<void> {
  const first = await readHost(layout);
  const { serving } = first;
  if (serving === undefined)
    throw new SwapError('found no sidecar that answers /status, expected one that is ready');
  const name = nameOf(serving);
  const pid = servingPid(first);
  const atFirst = await readCalls(first.admin);
  const end = performance.now() + forMs;
  let misses = serving.ready ? 0 : 1;
  while (performance.now() < end) {
    await delay(lookEveryMs);
    const host = await readHost(layout);
    if (host.serving !== undefined && nameOf(host.serving) !== name)
      throw new SwapError(`${name} no longer serves: ${nameOf(host.serving)} does`);
    misses = host.serving?.ready ? 0 : misses + 1;
    if (misses > missesAllowed)
      throw new SwapError(`${name} has not been ready for ${misses} looks in a row`);
    if (servingPid(host) !== pid) throw new SwapError(`${name} was restarted while it was watched`);
    const calls = await readCalls(host.admin);
    const rise = atFirst && calls && riseOfFailures(atFirst, calls, failedBefore);
    if (rise) throw new SwapError(`${name} does not do as well as the one before: ${rise}`);
  }
}

function servingPid({ sidecars, serving }: Host): number {
  const up = sidecars.filter((unit) => isUp(unit) && unit.choice.phase === serving?.phase);
  return (up.find(({ choice }) => choice.version === serving?.version) ?? up[0])?.pid ?? 0;
}
