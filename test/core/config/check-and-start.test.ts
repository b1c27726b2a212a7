import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { modelsFile } from '../../support/core-service.ts';
import { runCountersign } from '../../support/run-countersign.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const main = new URL('../../../core/main.ts', import.meta.url).pathname;

const good = `listen: 127.0.0.1:1
redis: { url: "redis://127.0.0.1:1" }
sqlite: core.db
files: files
outbound: 127.0.0.1:1
models: { file: ${modelsFile} }
`;

/** A change of core.yaml, and what is said of it. */
const wrong: readonly (readonly [title: string, from: string | RegExp, to: string, says: RegExp])[] = [
  ['an unknown key', /$/, 'feature: on\n', /core\.yaml:7:1: feature: found an unknown key/],
  ['an empty file', /^.*$/s, '', /core\.yaml: found an empty file/],
  ['an address without a port', '127.0.0.1:1', '127.0.0.1', /listen: found "127\.0\.0\.1"/],
  ['two databases', /$/, 'postgres: { url: "postgres://a@h:1/d" }\n', /one of sqlite and postgres/],
  ['no database', 'sqlite: core.db\n', '', /one of sqlite and postgres/],
  ['no place for contents', 'files: files\n', '', /files/],
  ['a URL of something else', 'redis://', 'http://', /redis/],
  ['a missing password', 'redis: { ', 'redis: { password_file: none, ', /none/],
  ['missing models', modelsFile, 'none.yaml', /none\.yaml: found no such file/],
  ['a limit of nothing', /$/, 'limits: { parallel_turns: 0 }\n', /parallel_turns: found 0/],
];

interface Ran {
  readonly code: unknown;
  readonly stderr: string;
}

async function start(file: string): Promise<Ran> {
  return new Promise((resolve) => {
    execFile(process.execPath, [main, '--config', file], (error, _stdout, stderr) =>
      resolve({ code: error?.code ?? 0, stderr }),
    );
  });
}

async function configured(t: Test, text: string): Promise<string> {
  const file = join(await tempFolder(t), 'core.yaml');
  await writeFile(file, text);
  return file;
}

t.test('countersign check and the start of the core say the same of a wrong core.yaml', async (t) => {
  for (const [title, from, to, says] of wrong) {
    const file = await configured(t, good.replace(from, to));
    const [checked, started] = await Promise.all([runCountersign(['check', '--core', file]), start(file)]);
    t.match(checked, { code: 78, stderr: says }, title);
    t.strictSame(started, { code: 78, stderr: checked.stderr }, `${title}, at the start`);
  }
  t.match(await runCountersign(['check', '--core', await configured(t, good)]), { code: 0, stdout: 'ok\n' });
});
