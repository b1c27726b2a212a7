import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { generations, keyStory, letTheLockExpire, previousGenerations } from '../../support/key-story.ts';

t.test(
  'killed at any write to the registry, and run again, it completes, and every call works all the while',
  async (t) => {
    const { hosts, redis, rotate, gate } = await keyStory(t);
    const deliver = await hosts.deliverCommand();
    gate.writes = 0;
    t.match(await rotate(deliver), { code: 0 });
    const writes = gate.writes;
    t.ok(writes > 12, `${writes} writes`);
    for (let at = 1; at <= writes; at++) {
      const before = await generations(redis);
      let victim = 0;
      gate.writes = 0;
      gate.strikeAt = at;
      gate.strike = () => process.kill(victim, 'SIGKILL');
      const killed = await rotate(deliver, (pid) => {
        victim = pid;
      });
      t.equal(killed.signal, 'SIGKILL', `killed at write ${at}`);
      gate.strikeAt = 0;
      hosts.check();
      await letTheLockExpire(redis);
      // The last two writes end the rotation and give the lock back: nothing is left to go on with.
      if (at < writes - 1) t.match(await rotate(deliver), { code: 0 });
      t.strictSame(await previousGenerations(redis), before, `after write ${at} each key was replaced once`);
      t.equal(await redis.exists('service:key:npu-worker:new', 'service:key:main-backend:new'), 0);
      t.strictSame(hosts.trouble, [], `after write ${at} every call worked`);
    }
  },
);

t.test('killed at any delivery, before or after it, and run again, it completes', async (t) => {
  const { hosts, redis, rotate, folder } = await keyStory(t);
  const kill = `if [ "$N" = "$(cat strike)" ]; then kill -9 "$(cat victim)"; fi`;
  for (const where of ['before', 'after'] as const)
    for (let at = 1; at <= 9; at += where === 'before' ? 2 : 3) {
      const before = await generations(redis);
      await writeFile(join(folder, 'delivered'), '');
      await writeFile(join(folder, 'strike'), String(at));
      const deliver = await hosts.deliverCommand(...(where === 'before' ? [kill] : ['', kill]));
      // The rotator's number is there long before its first delivery.
      const started: Promise<void>[] = [];
      const killed = await rotate(deliver, (pid) => {
        started.push(writeFile(join(folder, 'victim'), String(pid)));
      });
      await Promise.all(started);
      t.equal(killed.signal, 'SIGKILL', `killed ${where} delivery ${at}`);
      // Once, the test does wait for it.
      if (where === 'before' || at < 7) await letTheLockExpire(redis);
      const resumed = await rotate(await hosts.deliverCommand());
      t.equal(resumed.code, 0, resumed.stderr);
      t.match(resumed.stderr, /going on with the rotation of main-backend, npu-worker/);
      t.strictSame(await previousGenerations(redis), before, 'each key was replaced once');
      t.strictSame(hosts.trouble, [], `${where} delivery ${at}`);
    }
});
