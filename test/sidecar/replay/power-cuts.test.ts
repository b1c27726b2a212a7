import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { openState, type State } from '../../../sidecar/replay/state.ts';
import { leaveSettledState } from '../../../tools/settled-state.ts';
import { FileRecorder, type Remains } from '../../support/file-recorder.ts';

const report = (error: Error) => t.fail(error.message);
const nowMs = Date.now();
const now = () => nowMs;
const seconds = Math.floor(nowMs / 1000);
const nonce = (n: number) => `nonce-${String(n).padStart(16, '0')}`;

interface Accepted {
  readonly kid: string;
  readonly nonce: string;
  readonly created: number;
  /** What had happened to the files when it was accepted. */
  readonly moment: number;
}

async function admit(state: State, kid: string, text: string, created: number) {
  const admission = state.memory.admit(kid, text, created);
  if (admission !== 'unmarked') return admission;
  await state.marks.cover(kid, created);
  return state.memory.admit(kid, text, created);
}

t.test('no power cut lets a call be accepted twice', async (t) => {
  const directory = join(t.testdir({}), 'state');
  await leaveSettledState(directory);
  const recorder = await FileRecorder.start(t, directory);
  const accepted: Accepted[] = [];
  let used = 0;
  const accept = async (state: State, kid: string, created: number) => {
    const text = nonce(used++);
    if ((await admit(state, kid, text, created)) !== 'fresh')
      t.fail(`${kid} ${created - seconds} was refused`);
    accepted.push({ kid, nonce: text, created, moment: recorder.now });
  };
  const first = await openState(directory, { kids: ['a/1', 'b/1'], report, now });
  await accept(first, 'a/1', seconds);
  await accept(first, 'b/1', seconds + 2);
  await accept(first, 'b/1', seconds + 200);
  await first.use(['a/1', 'c/1']);
  await accept(first, 'c/1', seconds + 1);
  await first.handOver();
  const second = await openState(directory, { kids: ['a/1', 'c/1'], report, now });
  await accept(second, 'a/1', seconds + 1);
  await accept(second, 'c/1', seconds + 100);
  await second.handOver();

  const tried = new Set<string>();
  for (let moment = 0; moment <= recorder.now; moment++) {
    const before = accepted.filter((one) => one.moment <= moment);
    for (const remains of recorder.cuts(moment)) {
      const key = `${before.length} ${text(remains)}`;
      if (tried.has(key)) continue;
      tried.add(key);
      const place = join(t.testdirName, `cut-${tried.size}`);
      await mkdir(place, { mode: 0o700 });
      for (const [name, data] of remains)
        if (name !== 'lock.sqlite') await writeFile(join(place, name), data, { mode: 0o600 });
      const state = await openState(place, { kids: ['a/1', 'b/1', 'c/1'], report, now });
      for (const { kid, nonce, created } of before) {
        const admission = await admit(state, kid, nonce, created);
        if (admission === 'fresh')
          t.fail(
            `cut after ${moment} operations (${[...remains.keys()]}): ${kid} ${created - seconds} again`,
          );
      }
      await state.handOver();
    }
  }
  t.ok(tried.size > 10, `${tried.size} different remains`);
  t.equal(accepted.length, 6);
});

const text = (remains: Remains) =>
  [...remains]
    .filter(([name]) => name === 'marks.json' || name === 'replay.bin')
    .map(([name, data]) => `${name} ${data.toString('latin1')}`)
    .sort()
    .join('\n');

t.test('a mark that cannot be written is not used', async (t) => {
  const directory = join(t.testdir({}), 'state');
  await leaveSettledState(directory);
  const recorder = await FileRecorder.start(t, directory);
  const state = await openState(directory, { kids: ['a/1'], report, now });
  for (const code of ['ENOSPC', 'EIO', 'EMFILE']) {
    const created = seconds + 100;
    // Draft: open, write, sync; then rename, and open and sync of the folder.
    for (let failing = 0; failing < 6; failing++) {
      const start = recorder.calls;
      recorder.failure = (call) => (call === start + failing ? code : undefined);
      await t.rejects(state.marks.cover('a/1', created), { code: 'state-unusable' }, `${code} ${failing}`);
      t.equal(state.memory.admit('a/1', nonce(1), created), 'unmarked');
      recorder.failure = () => undefined;
    }
  }
  await state.marks.cover('a/1', seconds + 100);
  t.equal(state.memory.admit('a/1', nonce(1), seconds + 100), 'fresh', 'once it can');
  await state.handOver();
});
