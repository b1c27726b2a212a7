import { existsSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { callRecord } from '../../support/call-record.ts';
import { callers, guardedHost, refused, traffic } from '../../support/guarded-host.ts';
import { runCountersign } from '../../support/run-countersign.ts';

t.test('--once watches by the same rule, changes nothing and answers with its exit code', async (t) => {
  const { dir, url, telemetry, swapped } = await guardedHost(t);
  const args = ['guard', '--once', '--from', url, '--gated', join(dir, 'go.json')];
  const ratio = { failed: 0 };
  traffic(t, () => {
    for (let i = 0; i < 10; i++) telemetry.record(callRecord());
    for (const caller of callers) for (let i = 0; i < ratio.failed; i++) telemetry.record(refused(caller));
  });
  t.match(await runCountersign([...args, '--for', '2s']), {
    code: 0,
    stdout: /: ok: 0 of \d+ calls failed\n$/,
  });
  ratio.failed = 3;
  t.match(await runCountersign([...args, '--for', '60s']), {
    code: 1,
    stdout: /: failed: \d+ of \d+ calls within five minutes failed .*, most/,
  });
  t.notOk(existsSync(swapped));
  await writeFile(swapped, '');
  ratio.failed = 0;
  t.match(await runCountersign([...args, '--for', '1s']), { code: 1, stdout: /the logging binary serves/ });
  t.equal((await runCountersign(['guard', '--once', '--from', url])).code, 64);
  t.equal((await runCountersign([...args, '--from', 'folder'])).code, 64);
});

t.test('bad configuration is told with its place, and nothing starts', async (t) => {
  const { dir } = await guardedHost(t);
  const file = join(dir, 'guard.yaml');
  await writeFile(file, 'gated: go.json\nmode: off\ncommands: { rollback: systemctl start x }\n');
  const ran = await runCountersign(['guard', '--config', file]);
  t.equal(ran.code, 78);
  t.match(ran.stderr, /guard\.yaml:2:1: mode: found an unknown key "mode"/);
  t.match(ran.stderr, /guard\.yaml:3:23: commands\.rollback: found "systemctl start x"/);
  t.match(await runCountersign(['guard', '--gated', join(dir, 'none.json')]), {
    code: 78,
    stderr: /gate file/,
  });
  t.equal((await runCountersign(['guard'])).code, 64);
  t.equal((await runCountersign(['guard', '--gated', 'x', '--bake', 'long'])).code, 64);
});
