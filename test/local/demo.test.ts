import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { build, root } from '../../tools/build.ts';
import { freeBasePort } from '../support/local-fleet.ts';
import { tempFolder } from '../support/temp-folder.ts';

t.test(
  'npm run demo -- --yes plays every step and leaves nothing behind',
  { timeout: 480_000 },
  async (t) => {
    await build();
    const temporary = await tempFolder(t);
    const words = [join(root, 'sidecar/local/demo.ts'), '--yes', '--base-port', String(await freeBasePort())];
    const demo = spawn(process.execPath, words, { env: { ...process.env, TMPDIR: temporary } });
    t.teardown(() => demo.kill('SIGTERM'));
    let output = '';
    for (const stream of [demo.stdout, demo.stderr])
      stream.setEncoding('utf8').on('data', (text) => {
        output += text;
      });
    const [code] = await once(demo, 'close');
    t.equal(code, 0, output);

    t.match(output, /console.*http:\/\/127\.0\.0\.1:\d+\/#token=/);
    t.strictSame(
      [...output.matchAll(/^\d\. .*/gm)].map(([line]) => line.slice(0, 2)),
      ['1.', '2.', '3.', '4.', '5.', '6.', '7.', '8.'],
    );
    const open = /^Why not\n([\s\S]*?)\n\n/m.exec(output)?.[1]?.split('\n') ?? [];
    t.equal(open.length, 3, 'one open line a sidecar');
    for (const line of open) t.match(line, /has logged for .*; 24\.0 h are required/);
    t.match(
      output,
      /caller's side[\s\S]*callee's side|callee's side[\s\S]*caller's side/,
      'why tells both ends',
    );
    t.match(output, /POST \/api\/proces\b/, 'with the mistyped rule');

    t.match(output, /# 1 rule added/, 'the missing rule is applied');

    t.strictSame(await readdir(temporary), [], 'no file is left');
    const left = await new Promise((resolve) =>
      execFile('pgrep', ['-fa', temporary], (_, out) => resolve(out)),
    );
    t.equal(left, '', 'no process is left');
  },
);
