import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { modelsFile } from '../support/core-service.ts';
import { tempFolder } from '../support/temp-folder.ts';

const main = new URL('../../core/main.ts', import.meta.url).pathname;

async function run(...args: string[]): Promise<{ code: unknown; out: string; err: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, ...args], (error, out, err) =>
      resolve({ code: error?.code ?? 0, out, err }),
    );
  });
}

async function configured(t: Test, listen: string, more = ''): Promise<string> {
  const folder = await tempFolder(t);
  await writeFile(
    join(folder, 'core.yaml'),
    `listen: ${listen}\nredis: { url: "redis://127.0.0.1:1" }\nsqlite: core.db\nfiles: files\noutbound: 127.0.0.1:1\nmodels: { file: ${modelsFile} }\n${more}`,
  );
  return join(folder, 'core.yaml');
}

t.test('says its version and its usage, and wants a configuration', async (t) => {
  t.match(await run('--version'), { code: 0, out: /^\d+\.\d+\.\d+\n$/ });
  t.match(await run('--help'), { code: 0, out: /--config <file>/ });
  t.match(await run(), { code: 64, err: /--config/ });
  t.match(await run('--config'), { code: 64 });
  t.match(await run('--config', 'x', '--nonsense'), { code: 64, err: /nonsense/ });
});

t.test('bad configuration ends it with 78 and the place', async (t) => {
  t.match(await run('--config', '/nowhere/core.yaml'), {
    code: 78,
    err: '/nowhere/core.yaml: found no such file',
  });
  t.match(await run('--config', await configured(t, '127.0.0.1:1', 'feature: on\n')), {
    code: 78,
    err: /core\.yaml:7:1: feature/,
  });
  const broken = await configured(t, '127.0.0.1:1');
  await writeFile(
    join(broken, '../core.db'),
    'this is not a database, and long enough to be seen as none'.repeat(20),
  );
  t.match(await run('--config', broken), { code: 78, err: /core\.db.*restore a backup/ });
});

t.test('a taken port ends it with what to do', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.teardown(() => void server.close());
  const address = server.address();
  const port = typeof address === 'object' ? address?.port : 0;
  t.match(await run('--config', await configured(t, `127.0.0.1:${port}`)), {
    code: 70,
    err: /change listen in core\.yaml/,
  });
});
