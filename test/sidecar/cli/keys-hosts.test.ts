import { chmod, copyFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { generations, keyStory } from '../../support/key-story.ts';
import { runCountersign } from '../../support/run-countersign.ts';

/** A host gets another key under a key id, with every delivery up to one. */
const damage = (
  host: string,
  kid: string,
  last: number,
) => `if [ "$1" = ${host} ] && [ "$N" -le ${last} ]; then
    mkdir -p damage
    sed '/"kid": "${kid.replace('/', '\\/')}"/{n;s/"key": "A/"key": "B/;t;s/"key": "./"key": "A/}' "$2" > "damage/$(basename "$2")"
    set -- "$1" "damage/$(basename "$2")"
  fi`;

t.test('a verifier that got another key is found before any signer switches; later it goes on', async (t) => {
  const { hosts, redis, rotate } = await keyStory(t);
  const ran = await rotate(await hosts.deliverCommand(damage('127.0.0.3', 'main-backend/2', 3)));
  t.match(ran, { code: 1 });
  t.match(
    ran.stderr,
    /the keys of 1 pairs do not fit: bringing the keyrings again before any signer switches/,
  );
  t.match(ran.stderr, /main-backend to npu-worker@127\.0\.0\.3: found another key under main-backend\/2/);
  t.match(ran.stderr, /Every sidecar signs with the generation before\./);
  t.strictSame(await generations(redis), ['main-backend/1', 'npu-worker/1']);
  t.match(await rotate(await hosts.deliverCommand()), {
    code: 0,
    stderr: /the keys of all 9 pairs of sidecars fit/,
  });
  t.strictSame(await generations(redis), ['main-backend/2', 'npu-worker/2']);
  t.strictSame(hosts.trouble, [], 'every call worked all the while');
});

t.test('keys that do not fit after the switch take the switch back; later it goes on', async (t) => {
  const { hosts, redis, rotate } = await keyStory(t);
  // Only the keyring of the switch is damaged, the fourth to sixth delivery.
  const switched = `if [ "$N" -gt 3 ]; then ${damage('127.0.0.3', 'main-backend/2', 6)}\nfi`;
  const ran = await rotate(await hosts.deliverCommand(switched));
  t.match(ran, { code: 1 });
  t.match(ran.stderr, /the keys of 1 pairs do not fit: going back to the generation before/);
  t.match(ran.stderr, /Every sidecar signs with the generation before\./);
  t.strictSame(await generations(redis), ['main-backend/1', 'npu-worker/1']);
  const signing = hosts.sources.get('main-backend@127.0.0.1')?.current.outbound.get('npu-worker')?.kid;
  t.equal(signing, 'main-backend/1');
  hosts.trouble.length = 0;
  hosts.check();
  t.strictSame(hosts.trouble, [], 'every call works again');
  t.match(await rotate(await hosts.deliverCommand()), { code: 0 });
  t.strictSame(await generations(redis), ['main-backend/2', 'npu-worker/2']);
  t.strictSame(hosts.trouble, []);
});

t.test('a host that stays down is left out by name, revoked, and brought back by one command', async (t) => {
  const { hosts, redis, run, folder } = await keyStory(t);
  const out = join(folder, 'out');
  const down = await hosts.deliverCommand('if [ "$1" = 127.0.0.3 ]; then exit 255; fi');
  const args = (deliver: string) => ['--out', out, '--deliver', deliver, '--wait', '20', ...hosts.from];
  const before = hosts.sources.get('npu-worker@127.0.0.3')?.current;

  const stopped = await run(['rotate', ...args(down)]);
  t.match(stopped, { code: 1, stderr: /For a host that stays down: rotate --without HOST/ });
  const without = ['--without', '127.0.0.3'];
  t.match(await run(['rotate', ...without, ...args(down)]), {
    code: 64,
    stderr: /nothing was changed.*would be revoked[\s\S]*Confirm with --confirm 127\.0\.0\.3/,
  });
  t.match(await run(['rotate', ...without, '--confirm', '127.0.0.2', ...args(down)]), { code: 64 });
  const confirmed = [...without, '--confirm', '127.0.0.3'];
  const rotated = await run(['rotate', ...confirmed, ...args(down)]);
  t.match(rotated, { code: 0, stderr: /revoked 127\.0\.0\.3 until it is readmitted/ }, rotated.stderr);
  t.strictSame(await generations(redis), ['main-backend/2', 'npu-worker/2']);
  const { current } = hosts.sources.get('main-backend@127.0.0.1') ?? {};
  const ends = (current?.inbound.get('npu-worker/1')?.notAfterMs ?? 0) - Date.now();
  t.ok(ends <= 300_000, 'what the host signs with ends in five minutes, not in a day');
  await t.rejects(stat(join(out, 'npu-worker@127.0.0.3.json')), { code: 'ENOENT' });
  t.equal(hosts.sources.get('npu-worker@127.0.0.3')?.current, before);
  t.match(await run(['status', ...hosts.from]), {
    code: 1,
    stdout: /127\.0\.0\.3 is revoked since .*; run keys readmit 127\.0\.0\.3/,
  });
  t.match(await run(['rotate', ...args(down)]), { code: 0 }, 'later rotations leave it out too');

  t.match(await run(['readmit', '127.0.0.3', ...args(down)]), { code: 1, stderr: /does not have its keys/ });
  const readmitted = await run(['readmit', '127.0.0.3', ...args(await hosts.deliverCommand())]);
  t.match(readmitted, { code: 0, stdout: '127.0.0.3 has its keys\n' }, readmitted.stderr);
  hosts.trouble.length = 0;
  hosts.check();
  t.strictSame(hosts.trouble, [], 'it calls and is called');
  t.match(await run(['status', ...hosts.from]), { code: 0 });
});

t.test('a rotation that leaves keys in force which a revoked host holds is refused', async (t) => {
  const { hosts, run, folder } = await keyStory(t);
  const args = ['--out', join(folder, 'out'), '--deliver', await hosts.deliverCommand(), ...hosts.from];
  const named = ['--without', '127.0.0.3', '--confirm', '127.0.0.3'];
  t.match(await run(['rotate', 'main-backend', ...named, ...args]), {
    code: 64,
    stderr: /expected one of npu-worker too, whose keys 127\.0\.0\.3 holds/,
  });
});

t.test('the registry may be a file', async (t) => {
  const { hosts, folder, redis } = await keyStory(t);
  const registry = join(folder, 'registry');
  const out = join(folder, 'from-file');
  const run = (command: string, ...words: string[]) =>
    runCountersign([
      ...['keys', command, '--registry', `file:${registry}`],
      ...['--fleet', join(folder, 'fleet.yaml'), ...words],
    ]);
  t.match(await run('init', '--out', out), { code: 0, stdout: /made keys for main-backend, npu-worker/ });
  t.equal((await stat(registry)).mode & 0o777, 0o600);
  for (const place of hosts.sources.keys()) await copyFile(join(out, `${place}.json`), hosts.fileOf(place));
  const rotated = await run('rotate', '--out', out, '--deliver', await hosts.deliverCommand(), ...hosts.from);
  t.match(rotated, { code: 0, stdout: 'rotated\n' }, rotated.stderr);
  t.match(await run('status', ...hosts.from), { code: 0, stdout: /npu-worker\/2 +active/ });
  t.strictSame(await generations(redis), ['main-backend/1', 'npu-worker/1'], 'the other registry is another');
  await chmod(registry, 0o644);
  t.match(await run('status'), { code: 1, stderr: /found mode 0644, expected 0600/ });
  t.match(await run('status', '--redis', 'redis://127.0.0.1'), { code: 64, stderr: /found both/ });
});
