import { existsSync } from 'node:fs';
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import t from 'tap';
import { openState, type State } from '../../../sidecar/replay/state.ts';
import { leaveSettledState } from '../../../tools/settled-state.ts';

const report = (error: Error) => t.fail(error.message);
const keyIds = ['a/1', 'a/2', 'b/1'];
/** Seconds after which no crash or step of the clock costs a call any more: twice the look-back of retention. */
const calmAfter = 2 * 660 + 1;

type Step =
  | { readonly do: 'admit'; readonly kid: number; readonly nonce: number; readonly ahead: number }
  | { readonly do: 'pass' | 'step-clock'; readonly seconds: number }
  | { readonly do: 'reload'; readonly kids: readonly string[] }
  | { readonly do: 'crash' | 'hand-over' };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('admit' as const),
      kid: fc.nat(2),
      nonce: fc.nat(3),
      ahead: fc.oneof(fc.constantFrom(0, 0, -1, 1, 3), fc.integer({ min: -300, max: 300 })),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('pass' as const),
      seconds: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.constantFrom(60, 299, 301, 700)),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('step-clock' as const),
      seconds: fc.constantFrom(-3600, -301, -100, -1, 1, 100, 301, 3600),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('reload' as const), kids: fc.subarray(keyIds, { minLength: 1 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom('crash' as const, 'hand-over' as const) }) },
);

/** What the replay state must do, in terms of a set: nothing that is in it is accepted again. */
class Model {
  readonly accepted = new Set<string>();
  #disturbedAt = Number.NEGATIVE_INFINITY;

  disturb(at: number): void {
    this.#disturbedAt = Math.max(at, this.#disturbedAt);
  }

  /** What is wrong with an answer; undefined when nothing is. */
  judge(kid: string, nonce: string, created: number, admission: string, at: number, ahead: number) {
    const call = `${kid} ${nonce} ${created}`;
    const sameMinute = [...this.accepted].some((one) => {
      const [otherKid, otherNonce, second] = one.split(' ') as [string, string, string];
      return otherKid === kid && otherNonce === nonce && minute(Number(second)) === minute(created);
    });
    // The MAC binds the nonce to `created`: with another one it is another call.
    if (admission === 'fresh' && this.accepted.has(call)) return `${call} was accepted twice`;
    if (admission === 'replayed' && !sameMinute) return `${call} was never accepted`;
    const isCalm = at - this.#disturbedAt > calmAfter && ahead >= -2;
    if (isCalm && admission !== (sameMinute ? 'replayed' : 'fresh')) return `${call} is ${admission}`;
    if (admission === 'fresh') this.accepted.add(call);
    return undefined;
  }
}

const minute = (second: number) => Math.floor(second / 60);

/** Runs processes one after another on real state directories. @returns what went wrong */
async function run(folder: string, steps: readonly Step[]): Promise<string | undefined> {
  const model = new Model();
  let wallMs = Date.now();
  let monotonicMs = 0;
  let kids: readonly string[] = keyIds;
  let directory = join(folder, 'state-0');
  await leaveSettledState(directory, 4000);
  const open = () =>
    openState(directory, { kids, report, now: () => wallMs, monotonicNow: () => monotonicMs });
  let state: State = await open();
  let wrong: string | undefined;
  for (const [i, step] of steps.entries()) {
    switch (step.do) {
      case 'admit': {
        const kid = kids[step.kid % kids.length] as string;
        const nonce = `nonce-000000000000${step.nonce}`;
        const created = Math.floor(wallMs / 1000) + step.ahead;
        let admission = state.memory.admit(kid, nonce, created);
        if (admission === 'unmarked') {
          await state.marks.cover(kid, created);
          admission = state.memory.admit(kid, nonce, created);
        }
        wrong = model.judge(kid, nonce, created, admission, monotonicMs / 1000, step.ahead);
        break;
      }
      case 'pass':
        for (let left = step.seconds; left > 0; left -= 100) {
          wallMs += 1000 * Math.min(left, 100);
          monotonicMs += 1000 * Math.min(left, 100);
          state.beat();
          await new Promise(setImmediate);
        }
        break;
      case 'step-clock':
        wallMs += 1000 * step.seconds;
        state.beat();
        // What was forgotten in a time that comes again stays refused until then.
        model.disturb(step.seconds < 0 ? Number.POSITIVE_INFINITY : monotonicMs / 1000);
        break;
      case 'reload':
        kids = step.kids;
        await state.use(kids);
        break;
      case 'crash': {
        const next = join(folder, `state-${i + 1}`);
        await mkdir(next, { mode: 0o700 });
        for (const name of ['marks.json', 'replay.bin'])
          if (existsSync(join(directory, name))) await copyFile(join(directory, name), join(next, name));
        await state.handOver();
        directory = next;
        state = await open();
        model.disturb(monotonicMs / 1000);
        break;
      }
      case 'hand-over': {
        const successor = open();
        await state.handOver();
        state = await successor;
        if (state.origin !== 'handed-over') wrong = `a handover ended as ${state.origin}`;
      }
    }
    if (wrong !== undefined) break;
  }
  await state.handOver();
  return wrong;
}

t.test('whatever happens, no call is accepted twice, and in calm times none is refused', async (t) => {
  let runs = 0;
  const folder = t.testdir({});
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 30, size: 'max' }), async (steps) => {
      const wrong = await run(join(folder, `run-${runs++}`), steps);
      if (wrong !== undefined) throw new Error(wrong);
    }),
    { numRuns: 150, endOnFailure: true },
  );
  t.ok(runs > 0, `${runs} histories`);
});
