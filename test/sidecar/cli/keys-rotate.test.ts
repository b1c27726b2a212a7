import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { generations, keyStory } from '../../support/key-story.ts';

t.test('rotates verifiers first, then signers, and ends the old key by a date', async (t) => {
  const { hosts, redis, rotate, gate } = await keyStory(t);
  gate.writes = 0;
  const ran = await rotate(await hosts.deliverCommand());
  t.match(ran, { code: 0, stdout: 'rotated\n' }, ran.stderr);
  t.match(
    ran.stderr,
    /staged .*npu-worker[\s\S]*all 3 sidecars accept both generations[\s\S]*all 3 sidecars sign with the new generation[\s\S]*promoted npu-worker\/2[\s\S]*all 3 sidecars know when the old generation ends/,
  );
  t.strictSame(hosts.trouble, []);
  t.strictSame(await generations(redis), ['main-backend/2', 'npu-worker/2']);
  t.equal(await redis.exists('service:key:npu-worker:new'), 0);
  t.equal(await redis.hget('service:key:npu-worker:previous', 'kid'), 'npu-worker/1');
  const ttl = await redis.ttl('service:key:npu-worker:previous');
  t.ok(ttl > 86_000 && ttl <= 86_400, `the old root lives for ${ttl} s`);

  const { current } = hosts.sources.get('main-backend@127.0.0.1') ?? {};
  t.equal(current?.outbound.get('npu-worker')?.kid, 'main-backend/2');
  t.equal(current?.inbound.get('npu-worker/2')?.notAfterMs, Number.POSITIVE_INFINITY);
  const ends = (current?.inbound.get('npu-worker/1')?.notAfterMs ?? 0) - Date.now();
  t.ok(ends > 86_000_000 && ends <= 86_400_000, 'the old key ends within a day');
  t.match(await redis.hgetall('service:key::rotation'), {}, 'no rotation and no lock is left');
  t.equal(await redis.exists('service:key::rotation'), 0);
});

t.test('a host that cannot be reached stops it before any signer switches; later it goes on', async (t) => {
  const { hosts, redis, rotate, folder, run } = await keyStory(t);
  const unreachable = await hosts.deliverCommand(
    'if [ "$1" = 127.0.0.3 ]; then echo "no route to $1" >&2; exit 255; fi',
  );
  const alarm = join(folder, 'alarm');
  await writeFile(alarm, `#!/bin/sh\nprintf '%s' "$1" > '${folder}/alarmed'\n`, { mode: 0o700 });
  const out = join(folder, 'out');
  for (let attempt = 0; attempt < 2; attempt++) {
    const ran = await run([
      ...['rotate', '--out', out, '--deliver', unreachable, '--wait', '20', '--alarm', alarm],
      ...hosts.from,
    ]);
    t.match(ran, { code: 1, stderr: /no route to 127\.0\.0\.3/ });
    t.match(ran.stderr, /npu-worker@127\.0\.0\.3: not delivered \(the deliver command exited with 255\)/);
    t.match(ran.stderr, /No signer has switched: every call is signed and accepted as before/);
  }
  t.match(await readFile(join(folder, 'alarmed'), 'utf8'), /the rotation has stopped \(staging\)/);
  t.strictSame(
    hosts.signedWith.filter((kid) => kid.endsWith('/2')),
    [],
  );
  t.strictSame(await generations(redis), ['main-backend/1', 'npu-worker/1']);

  const status = await run(['status', ...hosts.from]);
  t.match(status, {
    code: 1,
    stdout: /npu-worker\/2 +pending .*\n[\s\S]*is not finished \(staging\): run keys rotate/,
  });

  t.match(await rotate(await hosts.deliverCommand()), { code: 0 });
  t.strictSame(await generations(redis), ['main-backend/2', 'npu-worker/2']);
  t.strictSame(hosts.trouble, []);
});

t.test('delivered is not enough: a sidecar that does not load its keyring stops the rotation', async (t) => {
  const { hosts, run, folder } = await keyStory(t);
  const deliver = join(folder, 'lie');
  await writeFile(deliver, '#!/bin/sh\nexit 0\n', { mode: 0o700 });
  const args = ['rotate', '--out', join(folder, 'out'), '--deliver', deliver, '--wait', '1'];
  const ran = await run([...args, ...hosts.from]);
  t.match(ran, { code: 1, stderr: /npu-worker@127\.0\.0\.2: delivered, but not loaded within 1 s/ });
  const deaf = await run([...args, '--status', 'false']);
  t.match(deaf, { code: 1, stderr: /does not say what it has loaded/ });
  t.match(await run(args), { code: 64, stderr: /found neither --from nor --status/ });
  t.strictSame(hosts.trouble, []);
});

t.test(
  'acknowledges by a status command, for sidecars whose admin listener is on another machine',
  async (t) => {
    const { hosts, run, folder } = await keyStory(t);
    const cases = [...hosts.sources.keys()].map(
      (place, index) =>
        `${place.replace(/(.*)@(.*)/, '$2/$1')}) curl -sf '${hosts.adminUrls[index]}/status' ;;`,
    );
    const ask = join(folder, 'ask');
    await writeFile(ask, `#!/bin/sh\ncase "$1/$2" in\n${cases.join('\n')}\nesac\n`, { mode: 0o700 });
    const deliver = await hosts.deliverCommand();
    const ran = await run(['rotate', '--out', join(folder, 'out'), '--deliver', deliver, '--status', ask]);
    t.match(ran, { code: 0, stdout: 'rotated\n' }, ran.stderr);
    t.strictSame(hosts.trouble, []);
  },
);

t.test('two rotators: the second waits, and gives up while the first is at work', async (t) => {
  const { hosts, redis, rotate, folder } = await keyStory(t);
  const slow = await hosts.deliverCommand('while [ ! -e go ]; do sleep 0.1; done');
  const first = rotate(slow);
  while ((await redis.hget('service:key::rotation', 'phase')) !== 'staging')
    await new Promise((resolve) => setTimeout(resolve, 50));
  const second = await rotate(await hosts.deliverCommand());
  t.match(second, { code: 1, stderr: /another rotator is at work \(.*process \d+\)/ });
  await writeFile(join(folder, 'go'), '');
  t.match(await first, { code: 0 });
  t.strictSame(await generations(redis), ['main-backend/2', 'npu-worker/2']);
});

t.test('rotates only what is due, or what is named', async (t) => {
  const { hosts, redis, run, folder } = await keyStory(t);
  const deliver = await hosts.deliverCommand();
  const args = ['--out', join(folder, 'out'), '--deliver', deliver, ...hosts.from];
  t.match(await run(['rotate', '--due', ...args]), { code: 0, stdout: 'no key is due\n' });
  const old = new Date(Date.now() - 91 * 86_400_000).toISOString();
  await redis.hset('service:key:npu-worker', 'created_at', old);
  t.match(await run(['status']), { code: 1, stdout: /npu-worker\/1 +active +91 d +-1 d/ });
  t.match(await run(['rotate', '--due', ...args]), { code: 0, stdout: 'rotated\n' });
  t.strictSame(await generations(redis), ['main-backend/1', 'npu-worker/2']);
  t.match(await run(['rotate', 'main-backend', ...args]), { code: 0 });
  t.strictSame(await generations(redis), ['main-backend/2', 'npu-worker/2']);
  t.match(await run(['rotate', 'nobody', ...args]), { code: 64, stderr: /found nobody, expected services/ });
  t.strictSame(hosts.trouble, []);
});
