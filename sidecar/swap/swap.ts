import { setTimeout as delay } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { StateLock } from '../replay/state-lock.ts';
import { type Choice, type Host, isSame, nameOf } from './host.ts';
import type { Layout } from './layout.ts';
import { stepToNone, stepToReturn, stepToServe } from './next-step.ts';
import { readHost } from './read-host.ts';
import type { Goal, Progress, Step } from './step.ts';
import { SwapError } from './swap-error.ts';
import { type Action, takeStep } from './take-step.ts';

const pollMs = 100;
/** systemd shows the effect of what it was told within this time. */
const effectWithinMs = 20_000;
const lockWithinMs = 120_000;

export interface SwapOptions {
  readonly layout: Layout;
  /** Told every step that is taken, for people. */
  readonly say: (line: string) => void;
}

/**
 * Has the target serve this host, now and after a reboot; `none` for no sidecar at all. Looks at the host, takes one step, looks again: so a
 * swap that was killed at any moment is finished, or undone, by the next one.
 *
 * @param choose the target, given what the host looks like
 * @returns whether anything was changed
 * @throws {SwapError} when the target does not serve; what boots serves again then
 */
export async function swap(choose: (host: Host) => Choice | 'none', options: SwapOptions): Promise<boolean> {
  const lock = await lockSwaps(options.layout);
  try {
    const target = choose(await readHost(options.layout));
    const goal: Goal = target === 'none' ? { kind: 'none' } : { kind: 'serve', target };
    return await pursue(goal, options);
  } finally {
    lock.release();
  }
}

async function lockSwaps({ lock }: Layout): Promise<StateLock> {
  return StateLock.acquire(lock, AbortSignal.timeout(lockWithinMs)).catch((cause: unknown) => {
    if ((cause as Error).name !== 'AbortError') throw cause;
    throw new SwapError(
      `found another swap running for ${lockWithinMs / 60_000} min, expected it to end: look at it first`,
      { cause },
    );
  });
}

async function pursue(first: Goal, { layout, say }: SwapOptions): Promise<boolean> {
  let goal = first;
  let memory = new Memory();
  let changed = false;
  for (;;) {
    const host = await readHost(layout);
    const step = nextStep(host, goal, memory);
    if (step.do === 'finish' && goal.kind !== 'return') return changed;
    if (step.do === 'finish' || step.do === 'give-up') {
      const why = step.do === 'give-up' ? step.why : undefined;
      const back = afterFailure(host, goal, why, changed);
      say(`${back.why}; going back to ${back.to === undefined ? 'no sidecar' : nameOf(back.to)}`);
      goal = back;
      memory = new Memory();
      continue;
    }
    if (step.do === 'wait' || !memory.isNew(step)) {
      await delay(pollMs);
      continue;
    }
    say(describe(step));
    changed ||= step.do !== 'check';
    const fault = await takeStep(layout, step).then(
      () => undefined,
      (error: unknown) => error,
    );
    memory.took(step);
    if (fault === undefined) continue;
    if (!(fault instanceof SwapError)) throw fault;
    goal = afterFailure(host, goal, fault.message, changed);
    memory = new Memory();
  }
}

function nextStep(host: Host, goal: Goal, progress: Progress): Step {
  switch (goal.kind) {
    case 'serve':
      return stepToServe(host, goal.target, progress);
    case 'none':
      return stepToNone(host, progress);
    case 'return':
      return stepToReturn(host, goal.failed, goal.to, progress);
  }
}

/**
 * What boots is what served before: it is recorded last.
 *
 * @throws {SwapError} when there is nothing to undo, or nothing more to try
 */
function afterFailure(
  host: Host,
  goal: Goal,
  why: string | undefined,
  changed: boolean,
): Goal & { readonly kind: 'return' } {
  if (goal.kind === 'return') throw new SwapError([goal.why, why].filter(Boolean).join('; '));
  if (goal.kind === 'none' || !changed) throw new SwapError(why ?? 'nothing was changed');
  const failed = goal.target;
  const boots = host.sidecars.find((unit) => unit.boots && !isSame(unit.choice, failed));
  return { kind: 'return', failed, to: boots?.choice, why: why ?? '' };
}

/** What a swap has done so far; an action is not repeated while its effect is awaited. */
class Memory implements Progress {
  checked = false;
  readonly started: string[] = [];
  #last: { step: Action; atMs: number } | undefined;
  #wait: { until: string; sinceMs: number } | undefined;

  waitedMs(until: string): number {
    if (this.#wait?.until !== until) this.#wait = { until, sinceMs: performance.now() };
    return performance.now() - this.#wait.sinceMs;
  }

  /** @throws {SwapError} when the same action has had no effect */
  isNew(step: Action): boolean {
    if (this.#last === undefined || !isDeepStrictEqual(this.#last.step, step)) return true;
    if (performance.now() - this.#last.atMs < effectWithinMs) return false;
    throw new SwapError(`${describe(step)} has had no effect within ${effectWithinMs / 1000} s`);
  }

  took(step: Action): void {
    this.#last = { step, atMs: performance.now() };
    if (step.do === 'check') this.checked = true;
    if (step.do === 'start') this.started.push(...step.units);
  }
}

function describe(step: Action): string {
  if (step.do === 'check') return `check the configuration of ${step.version}`;
  if (step.do === 'link') return `${step.link} is ${step.version}`;
  return `${step.do === 'stop-together' ? 'stop' : step.do} ${step.units.join(' ')}`;
}
