import { readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { generateIdentity, identityToRecipient } from 'age-encryption';
import t from 'tap';
import { generations, keyStory } from '../../support/key-story.ts';

t.test(
  'a registry that was lost is rebuilt from the keyrings, and rotated without a call lost',
  async (t) => {
    const { hosts, redis, folder, run, rotate } = await keyStory(t);
    const out = join(folder, 'out');
    const deliver = await hosts.deliverCommand();
    t.match(await rotate(deliver), { code: 0 });
    await redis.flushall();
    t.match(await run(['init', '--out', out]), { code: 1, stderr: /it was lost/ });

    await rename(out, `${out}.gone`);
    t.match(await run(['rebuild', '--out', out, ...hosts.from]), {
      code: 1,
      stderr: /found no key of the fleet/,
    });
    const collect = join(folder, 'collect');
    await writeFile(collect, `#!/bin/sh\ncat "${folder}/hosts/$2@$1.json"\n`, { mode: 0o700 });
    const rebuilt = await run(['rebuild', '--out', out, '--collect', collect, ...hosts.from]);
    t.match(rebuilt, { code: 0, stdout: /the roots of main-backend, npu-worker are lost/ }, rebuilt.stderr);
    t.match(await run(['status', ...hosts.from]), {
      code: 1,
      stdout: /main-backend\/2, npu-worker\/2: the registry has lost their roots; run keys rotate/,
    });

    const rotated = await rotate(deliver);
    t.match(rotated, { code: 0 }, rotated.stderr);
    t.strictSame(await generations(redis), ['main-backend/3', 'npu-worker/3'], 'no generation twice');
    t.strictSame(hosts.trouble, [], 'every call worked all the while');
    t.match(await run(['status', ...hosts.from]), { code: 0 });
  },
);

t.test('a rebuild that would cost calls is refused', async (t) => {
  const { redis, folder, run } = await keyStory(t);
  const out = join(folder, 'out');
  for (const name of ['npu-worker@127.0.0.3', 'main-backend@127.0.0.1', 'npu-worker@127.0.0.2'])
    if (name !== 'npu-worker@127.0.0.2') await rm(join(out, `${name}.json`));
  await redis.flushall();
  t.match(await run(['rebuild', '--out', out]), {
    code: 1,
    stderr: /root of main-backend\/1 is lost, and no keyring .* has its key for .*--collect/,
  });
  t.strictSame(await redis.keys('service:key:*:generation'), [], 'nothing was written');
});

t.test('a backup is encrypted, and brings every root back', async (t) => {
  const { hosts, redis, folder, run, rotate } = await keyStory(t);
  const [out, to] = [join(folder, 'out'), join(folder, 'backup.age')];
  const passphrase = join(folder, 'passphrase');
  await writeFile(passphrase, 'correct horse battery staple\n', { mode: 0o600 });
  const locked = ['--passphrase-file', passphrase];
  t.match(await run(['backup', '--to', to]), { code: 64, stderr: /a backup is never plain/ });
  t.match(await run(['backup', '--to', to, ...locked]), { code: 0, stdout: `${to}\n` });
  t.equal((await stat(to)).mode & 0o777, 0o600);
  const text = await readFile(to, 'utf8');
  t.match(text, /^-----BEGIN AGE ENCRYPTED FILE-----\n/);
  t.notMatch(text, /main-backend/);

  const root = await redis.hgetall('service:key:npu-worker');
  await redis.flushall();
  const restore = (...words: string[]) => run(['restore', '--backup', to, '--out', out, ...words]);
  await writeFile(join(folder, 'wrong'), 'another passphrase\n', { mode: 0o600 });
  t.match(await restore('--passphrase-file', join(folder, 'wrong')), {
    code: 1,
    stderr: /does not open/,
  });
  t.equal(await redis.exists('service:key:npu-worker'), 0);
  t.match(await restore(...locked), { code: 0, stdout: 'every root is there\n' });
  t.strictSame(await redis.hgetall('service:key:npu-worker'), root);
  t.equal(await redis.get('service:key:npu-worker:generation'), '1');

  // An older backup: what was rotated since is carried over.
  const deliver = await hosts.deliverCommand();
  t.match(await rotate(deliver), { code: 0 });
  await redis.flushall();
  t.match(await restore(...locked), { code: 0, stdout: /roots of main-backend, npu-worker are lost/ });
  t.strictSame(await generations(redis), ['main-backend/2', 'npu-worker/2']);
  t.equal(await redis.hget('service:key:npu-worker:previous', 'key'), root.key, 'the old root is known');
  t.match(await rotate(deliver), { code: 0 });
  t.strictSame(await generations(redis), ['main-backend/3', 'npu-worker/3']);
  t.strictSame(hosts.trouble, []);
});

t.test('a backup to an age recipient is opened by its identity alone', async (t) => {
  const { redis, folder, run } = await keyStory(t);
  const [out, to, key] = [join(folder, 'out'), join(folder, 'backup.age'), join(folder, 'identity')];
  const identity = await generateIdentity();
  await writeFile(key, `# created: today\n${identity}\n`, { mode: 0o600 });
  t.match(await run(['backup', '--to', to, '--recipient', 'age1nonsense']), {
    code: 64,
    stderr: /expected one such as age1/,
  });
  const recipient = await identityToRecipient(identity);
  t.match(await run(['backup', '--to', to, '--recipient', recipient]), { code: 0 });
  await redis.flushall();
  const restored = await run(['restore', '--backup', to, '--identity', key, '--out', out]);
  t.match(restored, { code: 0, stdout: 'every root is there\n' }, restored.stderr);
});
