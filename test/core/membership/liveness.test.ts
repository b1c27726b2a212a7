import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, readlink } from 'node:fs/promises';
import t from 'tap';
import { Liveness } from '../../../core/membership/liveness.ts';
import { hasEnded, ownProcess } from '../../../core/membership/process-identity.ts';

const core = (coreId: string, beat: number) => ({ coreId, beat, process: 'p' });

t.test('a core is dead once its count has stood still for the lease', async (t) => {
  const liveness = new Liveness(8000, 1000);
  t.strictSame(liveness.observe([core('a', 1), core('b', 1)], 500), []);
  for (let step = 1; step < 16; step++) {
    t.strictSame(liveness.observe([core('a', 1), core('b', step)], 500), [], `${step * 500} ms`);
  }
  t.strictSame(liveness.observe([core('a', 1), core('b', 16)], 500), [core('a', 1)]);
});

t.test('time counts only while the database answers', async (t) => {
  const liveness = new Liveness(8000, 1000);
  liveness.observe([core('a', 1)], 500);
  t.strictSame(liveness.observe([core('a', 1)], 3_600_000), [], 'an hour without an answer is one step');
  t.strictSame(liveness.observe([core('a', 2)], 3_600_000), []);
});

t.test('one that comes back starts afresh', async (t) => {
  const liveness = new Liveness(1000, 1000);
  liveness.observe([core('a', 1)], 500);
  liveness.observe([], 500);
  t.strictSame(liveness.observe([core('a', 1)], 1000), []);
  t.strictSame(liveness.observe([core('a', 1)], 1000), [core('a', 1)]);
});

t.test('a process of this machine is known to have ended, any other is not', async (t) => {
  t.equal(await hasEnded(await ownProcess()), false);
  const child = spawn('sleep', ['60']);
  await once(child, 'spawn');
  const own = (await ownProcess()).split(':');
  const stat = await readFile(`/proc/${child.pid}/stat`, 'utf8');
  const started = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  const name = [...own.slice(0, -2), child.pid, started].join(':');
  t.equal(await hasEnded(name), false);
  child.kill('SIGKILL');
  await once(child, 'exit');
  t.equal(await hasEnded(name), true);
  t.equal(await hasEnded([...own.slice(0, -1), '1'].join(':')), true, 'the same PID, another process');
  const namespace = (await readlink('/proc/self/ns/pid')).replaceAll(/\D/g, '');
  t.equal(await hasEnded(`another-boot:${namespace}:1:1`), false, 'of another machine nothing is known');
});
