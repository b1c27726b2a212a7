import { execFile } from 'node:child_process';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { build, dist, root } from '../../tools/build.ts';
import { tempFolder } from '../support/temp-folder.ts';

interface Metafile {
  readonly inputs: Record<string, unknown>;
}

const sidecars = ['countersign-logging', 'countersign-enforcing'] as const;
const modules = { logging: 'sidecar/policy/forward-always.ts', enforcing: 'sidecar/policy/reject-denied.ts' };

/** What systemd tells a service, and nothing else. */
const readByTheSidecar = new Set([
  'LISTEN_FDS',
  'LISTEN_PID',
  'LISTEN_FDNAMES',
  'NOTIFY_SOCKET',
  'WATCHDOG_USEC',
  'WATCHDOG_PID',
]);

t.before(async () => {
  await build();
});

const bundle = (name: string) => readFile(join(dist, `bundles/${name}.cjs`), 'utf8');
const inputs = async (name: string) => {
  const metafile = JSON.parse(await readFile(join(dist, `bundles/${name}.meta.json`), 'utf8')) as Metafile;
  return Object.keys(metafile.inputs);
};

t.test('the two sidecar bundles differ in one composed function and in nothing else', async (t) => {
  const [logging, enforcing] = await Promise.all(sidecars.map(inputs));
  const only = (these: string[] = [], those: string[] = []) =>
    these.filter((input) => !those.includes(input));
  const of = (phase: keyof typeof modules) => [
    `sidecar/bin/${phase}-worker.ts`,
    `sidecar/bin/${phase}.ts`,
    modules[phase],
  ];
  t.strictSame(only(logging, enforcing).sort(), of('logging'));
  t.strictSame(only(enforcing, logging).sort(), of('enforcing'));
});

t.test('neither sidecar bundle holds the function of the other, in any of its threads', async (t) => {
  for (const file of await readdir(join(dist, 'bundles'))) {
    if (!file.endsWith('.cjs')) continue;
    const text = await bundle(file.slice(0, -4));
    // The thread that exports signals decides nothing.
    const decides = !file.includes('signals-export-worker');
    t.equal(
      text.includes('forwardAlways'),
      decides && file.startsWith('countersign-logging.'),
      `forwardAlways in ${file}`,
    );
    t.equal(
      text.includes('rejectDenied'),
      decides && file.startsWith('countersign-enforcing.'),
      `rejectDenied in ${file}`,
    );
  }
});

t.test('V8 keeps the sources in one byte a character', async (t) => {
  for (const file of await readdir(join(dist, 'bundles'))) {
    if (!file.endsWith('.cjs')) continue;
    t.notMatch(await bundle(file.slice(0, -4)), /[^\0-\xff]/, file);
  }
});

t.test('our part of the sidecar reads no environment variable but those of systemd', async (t) => {
  const ours = (await inputs('countersign-enforcing')).filter((input) => !input.includes('node_modules/'));
  t.ok(ours.length > 30, `${ours.length} modules of ours`);
  for (const input of ours) {
    const text = await readFile(join(root, input), 'utf8');
    for (const [use, name] of text.matchAll(/\benv\b(?:\.(\w+)|\[[^\]]*\])?/g)) {
      if (!/process\s*\.\s*env|['"]node:process['"]/.test(text)) continue;
      t.ok(name === undefined ? use === 'env' : readByTheSidecar.has(name), `${input}: ${use}`);
    }
  }
});

t.test('the executables run without Node, and obey no NODE_OPTIONS', async (t) => {
  const folder = await tempFolder(t);
  const hook = join(folder, 'hook.cjs');
  await writeFile(hook, 'process.exit(99);');
  const run = (file: string, words: readonly string[]) =>
    new Promise<{ code: unknown; output: string }>((resolve) => {
      const env = { PATH: folder, NODE_OPTIONS: `--require=${hook}` };
      execFile(file, words, { env }, (error, stdout) => resolve({ code: error?.code ?? 0, output: stdout }));
    });
  t.match(await run(process.execPath, ['--version']), { code: 0 });
  t.match(await run(process.execPath, ['-e', '0']), { code: 99 }, 'Node itself does obey');
  const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
  for (const name of [...sidecars, 'countersign', 'countersign-core']) {
    const said = await run(join(dist, name), ['--version']);
    t.equal(said.code, 0, `${name} --version`);
    t.match(said.output, version);
    t.match(await run(join(dist, name), ['--help']), { code: 0, output: /Usage: countersign/ });
    t.match(
      await run(join(dist, name), ['--require', hook]),
      { code: 64 },
      `${name} takes no option of Node`,
    );
  }
});
