import { mkdir, readdir, readFile, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { callRecord } from '../../support/call-record.ts';
import { generations, keyStory } from '../../support/key-story.ts';

async function keyring(folder: string, place: string) {
  return JSON.parse(await readFile(join(folder, `${place}.json`), 'utf8'));
}

/** Every root and every derived key that exists at this moment, in each form in which it could leak. */
async function secrets(t: Test, redis: import('ioredis').Redis, out: string): Promise<string[]> {
  const found: string[] = [];
  for (const key of await redis.keys('service:key:*')) {
    if ((await redis.type(key)) !== 'hash') continue;
    const root = await redis.hget(key, 'key');
    if (root !== null) found.push(root, Buffer.from(root, 'base64').toString('hex'));
  }
  t.ok(found.length >= 4);
  for (const name of await readdir(out))
    found.push(...((await readFile(join(out, name), 'utf8')).match(/[A-Za-z0-9+/]{43}=/g) ?? []));
  return found;
}

t.test(
  'init makes a root for every service and a private keyring for every sidecar; again, it changes nothing',
  async (t) => {
    const { redis, folder, run } = await keyStory(t);
    const out = join(folder, 'out');
    t.strictSame((await readdir(out)).sort(), [
      'main-backend@127.0.0.1.json',
      'npu-worker@127.0.0.2.json',
      'npu-worker@127.0.0.3.json',
    ]);
    t.equal((await stat(out)).mode & 0o777, 0o700);
    for (const name of await readdir(out)) t.equal((await stat(join(out, name))).mode & 0o777, 0o600);
    const root = await redis.hgetall('service:key:npu-worker');
    t.match(root, { kid: 'npu-worker/1', created_at: /^\d{4}-\d\d-\d\dT.*Z$/ });
    t.equal(Buffer.from(root.key ?? '', 'base64').length, 32);
    const before = await keyring(out, 'npu-worker@127.0.0.2');
    t.match(await run(['init', '--out', out]), { code: 0, stdout: /every service has its key/ });
    t.strictSame(await redis.hgetall('service:key:npu-worker'), root);
    t.strictSame(await keyring(out, 'npu-worker@127.0.0.2'), before, 'the same file, the same issue');
  },
);

t.test('init gives a new service its key and everybody else theirs for it', async (t) => {
  const { redis, folder, run } = await keyStory(t);
  const out = join(folder, 'out');
  const file = join(folder, 'fleet.yaml');
  const fleet = await readFile(file, 'utf8');
  await writeFile(file, `${fleet}  ai-stack: { hosts: [127.0.0.4], inbound: 15006, app: 8080 }\n`);
  t.match(await run(['init', '--out', out]), { code: 0, stdout: /made keys for ai-stack;/ });
  t.strictSame(await generations(redis), ['main-backend/1', 'npu-worker/1']);
  const own = await keyring(out, 'main-backend@127.0.0.1');
  t.equal(own.inbound['ai-stack'][0].kid, 'ai-stack/1');
  t.ok(own.outbound['ai-stack'].keys['127.0.0.4']);
});

t.test(
  'init tells a lost registry from a new one, by the keyrings and by what the sidecars say',
  async (t) => {
    const { redis, folder, run, hosts } = await keyStory(t);
    await redis.flushall();
    const lost = {
      code: 1,
      stderr:
        /no root of main-backend, npu-worker, but keys of main-backend\/1, npu-worker\/1 are in use: it was lost/,
    };
    t.match(await run(['init', '--out', join(folder, 'out')]), lost);
    t.match(await run(['init', '--out', join(folder, 'elsewhere'), ...hosts.from]), lost);
    t.equal(await redis.exists('service:key:npu-worker'), 0);
  },
);

t.test('status says who holds and uses what, as a table and as JSON', async (t) => {
  const { hosts, run } = await keyStory(t);
  const call = callRecord({ caller: 'main-backend', kid: 'main-backend/1' });
  for (let i = 0; i < 3; i++) hosts.telemetry.get('npu-worker@127.0.0.2')?.record(call);
  const { code, stdout } = await run(['status', ...hosts.from]);
  t.equal(code, 0);
  t.match(stdout, /^SERVICE +KEY +STATE +AGE +DUE +SIGNED WITH BY +ACCEPTED BY +USES\n/);
  t.match(
    stdout,
    /^main-backend +main-backend\/1 +active +0 d +90 d +main-backend@127\.0\.0\.1 +3 sidecars +3$/m,
  );
  const report = JSON.parse((await run(['status', '--json', ...hosts.from])).stdout);
  t.match(report.keys[1], {
    service: 'npu-worker',
    kid: 'npu-worker/1',
    generation: 1,
    state: 'active',
    age_days: 0,
    rotation_due_in_days: 90,
    signed_with_by: ['npu-worker@127.0.0.2', 'npu-worker@127.0.0.3'],
    uses: 0,
  });
  t.strictSame(report.silent, []);

  const deaf = await run(['status', '--from', hosts.adminUrls[0] as string]);
  t.match(deaf, { code: 1, stdout: /No answer from npu-worker@127\.0\.0\.2, npu-worker@127\.0\.0\.3\./ });
});

t.test('revoke ends a service everywhere at once, in the middle of a rotation too', async (t) => {
  const { hosts, redis, run, folder, rotate } = await keyStory(t);
  const out = join(folder, 'out');
  const stuck = await hosts.deliverCommand('while [ ! -e go ]; do sleep 0.1; done');
  const rotation = rotate(stuck);
  while ((await redis.exists('service:key:npu-worker:new')) === 0)
    await new Promise((resolve) => setTimeout(resolve, 50));
  const args = ['--out', out, '--deliver', await hosts.deliverCommand(), ...hosts.from];
  const ran = await run(['revoke', 'npu-worker', ...args]);
  t.match(ran, { code: 0, stdout: 'revoked npu-worker\n' }, ran.stderr);
  const left = await redis.keys('service:key:npu-worker*');
  t.strictSame(left.sort(), ['service:key:npu-worker:generation', 'service:key:npu-worker:revoked']);
  const { current } = hosts.sources.get('main-backend@127.0.0.1') ?? {};
  t.strictSame(
    [...(current?.inbound.keys() ?? [])].filter((kid) => kid.startsWith('npu-worker/')),
    [],
  );
  t.notOk(current?.outbound.has('npu-worker'));
  for (const place of ['npu-worker@127.0.0.2', 'npu-worker@127.0.0.3']) {
    const own = hosts.sources.get(place)?.current;
    t.equal(own?.outbound.size, 0);
    t.equal(own?.inbound.size, 0);
  }
  await writeFile(join(folder, 'go'), '');
  t.match(await rotation, { code: 1, stderr: /another rotator has taken over; this one stops/ });

  t.match(await run(['init', '--out', out]), {
    code: 0,
    stderr: /npu-worker is revoked since .*: it gets no key/,
  });
  t.equal(await redis.exists('service:key:npu-worker'), 0, 'init does not bring it back by itself');
  t.match(await run(['status']), { code: 1, stdout: /npu-worker is revoked since/ });

  const early = await run(['init', '--out', out, '--reinstate', 'npu-worker']);
  t.match(early, {
    code: 1,
    stderr: /its old keyring still holds keys of main-backend: run countersign keys rotate first/,
  });
  // The rotation that was interrupted had made its keys before: the thief may have these as well.
  for (const expected of [1, 0]) {
    const rotated = await run(['rotate', ...args]);
    t.match(rotated, { code: 0 }, rotated.stderr);
    t.match(await run(['init', '--out', out, '--reinstate', 'npu-worker']), { code: expected });
  }
  t.match((await keyring(out, 'main-backend@127.0.0.1')).inbound['npu-worker'][0].kid, /^npu-worker\/[4-9]$/);
});

t.test('revoke says where the keys may still be held', async (t) => {
  const { hosts, redis, run, folder } = await keyStory(t);
  const deliver = await hosts.deliverCommand('if [ "$1" = 127.0.0.1 ]; then exit 255; fi');
  const ran = await run([
    'revoke',
    'npu-worker',
    '--out',
    join(folder, 'out'),
    '--deliver',
    deliver,
    ...hosts.from,
  ]);
  t.match(ran, { code: 1, stderr: /may still hold the keys:\n.*main-backend@127\.0\.0\.1: not delivered/ });
  t.equal(await redis.exists('service:key:npu-worker'), 0);
  t.equal(
    hosts.sources.get('npu-worker@127.0.0.2')?.current.outbound.size,
    0,
    'the others have dropped them',
  );
  const status = await run(['status', ...hosts.from]);
  t.match(status, {
    code: 1,
    stdout: /npu-worker\/1: not in the registry, and still held by main-backend@127\.0\.0\.1/,
  });
});

t.test('a revocation waits for no host: the others have dropped the keys while one hangs', async (t) => {
  const { hosts, run, folder } = await keyStory(t);
  const deliver = await hosts.deliverCommand('if [ "$1" = 127.0.0.2 ]; then exec sleep 1000; fi');
  const status = join(folder, 'status');
  await writeFile(status, '#!/bin/sh\nexec sleep 1000\n', { mode: 0o700 });
  let end = () => {};
  const args = ['--out', join(folder, 'out'), '--deliver', deliver, '--status', status];
  const running = run(['revoke', 'npu-worker', ...args], (pid) => {
    end = () => process.kill(pid, 'SIGTERM');
  });
  const dropped = () =>
    hosts.sources.get('npu-worker@127.0.0.3')?.current.outbound.size === 0 &&
    hosts.sources.get('main-backend@127.0.0.1')?.current.outbound.has('npu-worker') === false;
  while (!dropped()) await new Promise((resolve) => setTimeout(resolve, 50));
  t.pass('the others have dropped them');
  end();
  t.match(await running, { code: 1, stderr: /interrupted; run the same command again/ });
});

t.test('export writes one keyring, 0600, to a file only', async (t) => {
  const { folder, run } = await keyStory(t);
  const to = join(folder, 'one.json');
  t.match(await run(['export', 'npu-worker', '127.0.0.3', '--to', to]), { code: 0, stdout: `${to}\n` });
  t.equal((await stat(to)).mode & 0o777, 0o600);
  const made = JSON.parse(await readFile(to, 'utf8'));
  t.match(made, { service: 'npu-worker', host: '127.0.0.3' });
  t.strictSame(made.inbound, (await keyring(join(folder, 'out'), 'npu-worker@127.0.0.3')).inbound);
  const elsewhere = await run(['export', 'npu-worker', '127.0.0.9', '--to', to]);
  t.match(elsewhere, {
    code: 64,
    stderr: /found host 127\.0\.0\.9, expected one of 127\.0\.0\.2, 127\.0\.0\.3/,
  });
  t.match(await run(['export', 'npu-worker', '127.0.0.3']), { code: 64, stderr: /--to/ });
  const terminal = join(folder, 'stdout');
  await symlink('/proc/self/fd/1', terminal);
  t.match(await run(['export', 'npu-worker', '127.0.0.3', '--to', terminal]), {
    code: 78,
    stdout: '',
    stderr: /found a symbolic link, expected a file or nothing/,
  });
});

t.test('no key is ever printed, whatever goes wrong', async (t) => {
  const { hosts, redis, folder, run, rotate } = await keyStory(t);
  const out = join(folder, 'out');
  const printed: string[] = [];
  const keep = async (ran: Promise<{ stdout: string; stderr: string; code: number | null }>) => {
    const { stdout, stderr, code } = await ran;
    printed.push(stdout, stderr);
    return { code, stderr };
  };
  const before = await secrets(t, redis, out);
  await keep(rotate(await hosts.deliverCommand()));
  await keep(run(['status', '--json', ...hosts.from]));
  await redis.hset('service:key:npu-worker', 'kid', 'nonsense');
  t.match(await keep(run(['status'])), {
    code: 1,
    stderr: /service:key:npu-worker: found no root key, expected/,
  });
  await redis.del('service:key:npu-worker');
  await redis.set('service:key:npu-worker', 'a string');
  t.match(await keep(run(['init', '--out', out])), { code: 1, stderr: /WRONGTYPE/ });
  await redis.del('service:key:npu-worker');
  await redis.config('SET', 'maxmemory', '1');
  t.match(await keep(run(['init', '--out', out])), { code: 1, stderr: /OOM/ });
  await redis.config('SET', 'maxmemory', '0');
  await mkdir(join(folder, 'blocked'));
  await writeFile(join(folder, 'blocked', 'out'), '');
  t.match(await keep(run(['init', '--out', join(folder, 'blocked', 'out')])), { code: 78 });
  const all = [...before, ...(await secrets(t, redis, out))];
  for (const secret of all) t.notOk(printed.join('').includes(secret));
});
