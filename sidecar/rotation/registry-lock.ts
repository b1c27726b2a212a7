import { setTimeout as pause } from 'node:timers/promises';
import { RegistryError } from '../keyring/errors.ts';
import { type KeyRegistry, lockMs } from './registry.ts';

const renewEveryMs = 3_000;
const askAgainMs = 500;

/**
 * Does work as the registry's only rotator. The lock expires by itself some seconds after a rotator dies; one that
 * was paused meanwhile finds it lost at its next step, and until then can only write generations that no longer count.
 *
 * @param work gets a signal that fires when the lock is lost or `signal` fires
 * @throws {RegistryError} registry-locked, registry-lock-lost
 */
export async function withRegistryLock<T>(
  registry: KeyRegistry,
  options: { takeOver: boolean; signal: AbortSignal; say: (line: string) => void },
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  await acquire(registry, options);
  const lost = new AbortController();
  const renewal = setInterval(() => {
    registry.renewLock().catch((error: unknown) => lost.abort(error));
  }, renewEveryMs);
  try {
    return await work(AbortSignal.any([options.signal, lost.signal]));
  } catch (error) {
    // What an aborted wait or fetch throws wraps the reason.
    throw lost.signal.aborted ? lost.signal.reason : error;
  } finally {
    clearInterval(renewal);
    // It expires anyway; what went wrong in the work is what counts.
    await registry.unlock().catch(() => {});
  }
}

async function acquire(
  registry: KeyRegistry,
  options: { takeOver: boolean; signal: AbortSignal; say: (line: string) => void },
): Promise<void> {
  const deadline = performance.now() + lockMs + 2_000;
  let said = false;
  for (;;) {
    const holder = await registry.lock(options);
    if (holder === undefined) return;
    if (performance.now() > deadline)
      throw new RegistryError(
        'registry-locked',
        `another rotator is at work (${holder}); try again when it is done`,
      );
    if (!said) options.say(`waiting for another rotator (${holder})`);
    said = true;
    await pause(askAgainMs, undefined, { signal: options.signal });
  }
}
