import { execFile } from 'node:child_process';
import { glob, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';
import { root } from '../../tools/build.ts';

const { stdout: help } = await promisify(execFile)(process.execPath, ['--help']);
const variables = [
  ...new Set([...help.matchAll(/^NODE_[A-Z0-9_]+/gm)].map(([name]) => name)),
  'NODE_OPTIONS',
];

t.test('the unit of every executable unsets every NODE_ variable', async (t) => {
  let units = 0;
  for await (const path of glob('ansible/roles/*/templates/*.service.j2', { cwd: root })) {
    const text = await readFile(join(root, path), 'utf8');
    if (!/^ExecStart=\/(?:opt\/countersign|usr\/local\/lib\/countersign\/rotator)/m.test(text)) continue;
    units++;
    const unset = [...text.matchAll(/^UnsetEnvironment=(.*)$/gm)].flatMap(([, names]) =>
      (names as string).split(' '),
    );
    t.strictSame(
      variables.filter((name) => !unset.includes(name)),
      [],
      path,
    );
  }
  t.ok(units >= 4, `${units} units`);
});
