import { cp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { openState, type State } from '../../../sidecar/replay/state.ts';
import { leaveSettledState } from '../../../tools/settled-state.ts';

const report = (error: Error) => t.fail(error.message);
const nonce = (n: number) => `nonce-${String(n).padStart(16, '0')}`;

/** Processes one after another on one state directory, with a clock of the test's. */
async function host(t: Test) {
  const folder = t.testdir({});
  let directory = join(folder, 'state-0');
  let crashes = 0;
  const clock = { ms: Date.now() };
  await leaveSettledState(directory);
  return {
    clock,
    get seconds() {
      return Math.floor(clock.ms / 1000);
    },
    open: (...kids: string[]) =>
      openState(directory, { kids, report, now: () => clock.ms, monotonicNow: () => clock.ms }),
    /** What the next process finds is what lies there now. */
    async crash(state: State) {
      const next = join(folder, `state-${++crashes}`);
      await cp(directory, next, { recursive: true, filter: (name) => !name.endsWith('.sqlite') });
      await state.handOver();
      directory = next;
    },
    marks: async () =>
      (JSON.parse(await readFile(join(directory, 'marks.json'), 'utf8')) as { marks: Record<string, number> })
        .marks,
  };
}

t.test('the mark of a key id that an older keyring had is kept as long as it can matter', async (t) => {
  const machine = await host(t);
  const { clock } = machine;
  const first = await machine.open('a/1', 'b/1');
  const created = machine.seconds;
  t.equal(first.memory.admit('b/1', nonce(1), created), 'fresh');
  const mark = (await machine.marks())['b/1'] as number;
  await machine.crash(first);

  // A keyring without it; its marks are written anew.
  clock.ms += 1000;
  const second = await machine.open('a/1');
  await second.marks.cover('a/1', machine.seconds + 100);
  t.equal((await machine.marks())['b/1'], mark, 'as it was, neither forgotten nor moved on');
  await machine.crash(second);

  const third = await machine.open('a/1', 'b/1');
  t.equal(third.origin, 'crashed');
  t.equal(third.memory.admit('b/1', nonce(1), created), 'lost');
  t.equal(third.memory.admit('b/1', nonce(2), mark), 'lost', 'up to the mark');
  await third.marks.cover('b/1', mark + 1);
  t.equal(third.memory.admit('b/1', nonce(3), mark + 1), 'fresh', 'and past it nothing was accepted');
  await machine.crash(third);

  const fourth = await machine.open('a/1');
  const last = (await machine.marks())['b/1'] as number;
  const write = (ahead: number) => fourth.marks.cover('a/1', machine.seconds + ahead);
  clock.ms = (last + 299) * 1000;
  await write(10);
  t.equal((await machine.marks())['b/1'], last, 'within the window');
  clock.ms = (last + 300) * 1000;
  await write(50);
  t.equal((await machine.marks())['b/1'], undefined, 'no call from before it can be accepted any more');
  await fourth.handOver();
});

t.test('no mark ever falls, whatever the clock does', async (t) => {
  const machine = await host(t);
  const state = await machine.open('a/1', 'b/1');
  await state.marks.cover('a/1', machine.seconds + 250);
  const before = await machine.marks();
  machine.clock.ms -= 3_600_000;
  await state.marks.cover('b/1', (before['b/1'] as number) + 1);
  const after = await machine.marks();
  for (const kid of ['a/1', 'b/1']) t.ok((after[kid] as number) >= (before[kid] as number), kid);
  t.ok((state.memory.mark('a/1') as number) >= (before['a/1'] as number));
  await state.handOver();
});

t.test('a beat moves the marks on after a call that could be recorded', async (t) => {
  const machine = await host(t);
  const state = await machine.open('a/1');
  const written = async () => (await machine.marks())['a/1'];
  const before = await written();
  machine.clock.ms += 10_000;
  t.equal(state.memory.admit('a/1', nonce(1), machine.seconds - 10), 'fresh');
  state.beat();
  while ((await written()) === before) await new Promise(setImmediate);
  t.equal(await written(), machine.seconds + 2);
  await state.handOver();
});
