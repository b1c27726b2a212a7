import { readFile, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { LocalApp } from '../../sidecar/local/local-app.ts';
import { tempFolder } from '../support/temp-folder.ts';

/** A real process that says "ready" and waits; it fails at its start while the file `broken` is there. */
async function app(t: Parameters<typeof tempFolder>[0]) {
  const folder = await tempFolder(t);
  const script = `[ ! -e '${folder}/broken' ] || exit 3; echo ready; exec sleep 600`;
  const lines: string[] = [];
  const waiting: { pattern: RegExp; resolve: () => void }[] = [];
  const started = new LocalApp(
    {
      name: 'the app',
      command: '/bin/sh',
      words: ['-c', script],
      log: join(folder, 'log'),
      milestones: { ready: /^ready$/ },
    },
    (line) => {
      lines.push(line);
      for (const { pattern, resolve } of waiting) if (pattern.test(line)) resolve();
    },
  );
  t.teardown(() => started.stop());
  const said = (pattern: RegExp) =>
    new Promise<void>((resolve) => {
      waiting.push({ pattern, resolve });
      if (lines.some((line) => pattern.test(line))) resolve();
    });
  return { folder, started, said, lines };
}

t.test('an app that is killed shows as down and comes back', async (t) => {
  const { started, said } = await app(t);
  await started.ready();
  t.equal(started.isUp, true);
  const { pid } = started;
  process.kill(pid, 'SIGKILL');
  await said(/is down \(SIGKILL\)/);
  t.equal(started.isUp, false);
  await said(/is up again/);
  t.equal(started.isUp, true);
  t.not(started.pid, pid);
});

t.test('one that cannot start is tried again until it can', async (t) => {
  const { folder, started, said } = await app(t);
  await started.ready();
  await writeFile(join(folder, 'broken'), '');
  process.kill(started.pid, 'SIGKILL');
  await said(/is down/);
  await unlink(join(folder, 'broken'));
  await said(/is up again/);
  t.match(await readFile(join(folder, 'log'), 'utf8'), 'ready');
});

t.test('one that ends before it was ever ready is an error, and a stopped one stays stopped', async (t) => {
  const broken = await app(t);
  await writeFile(join(broken.folder, 'broken'), '');
  const first = new LocalApp(
    {
      name: 'the app',
      command: '/bin/sh',
      words: ['-c', 'exit 3'],
      log: join(broken.folder, 'log2'),
      milestones: { ready: /^ready$/ },
    },
    () => {},
  );
  await t.rejects(first.ready(), { code: 'child-ended' });
  const { started, lines } = await app(t);
  await started.ready();
  await started.stop();
  t.same(lines, []);
});
