import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, cp, readdir, readFile, symlink } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { layout } from '../../sidecar/local/layout.ts';
import { build, dist, root, sources } from '../../tools/build.ts';
import { freeBasePort } from '../support/local-fleet.ts';
import { tempFolder } from '../support/temp-folder.ts';

interface Ended {
  readonly code: number | null;
  readonly output: string;
}

/** `npm run …` in a checkout, and what it prints. */
class Run {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  output = '';

  constructor(folder: string, words: readonly string[]) {
    this.child = spawn('npm', ['run', '--silent', ...words], { cwd: folder });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (chunk) => {
        this.output += chunk;
      });
    }
    this.ended = once(this.child, 'close').then(([code]) => ({ code, output: this.output }));
  }

  /** Settles as soon as it has printed this, or has ended. */
  async printed(pattern: RegExp): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const look = () => pattern.test(this.output) && resolve();
    this.child.stdout?.on('data', look);
    look();
    await Promise.race([promise, this.ended]);
  }
}

const npm = (folder: string, words: readonly string[]) => new Run(folder, words);

/** Processes of a fleet that keeps its state in `folder`. */
function left(folder: string): Promise<string> {
  return new Promise((resolve) => {
    execFile('pgrep', ['-fa', folder], (_, stdout) => resolve(stdout));
  });
}

/** A checkout of its own, with the modules and executables of this one. */
async function checkout(t: Test): Promise<string> {
  await build();
  const folder = await tempFolder(t);
  for (const name of [...sources, 'test/samples']) {
    await cp(join(root, name), join(folder, name), { recursive: true });
  }
  await symlink(join(root, 'node_modules'), join(folder, 'node_modules'));
  await symlink(dist, join(folder, 'dist'));
  return folder;
}

t.test('npm run up', { timeout: 480_000 }, async (t) => {
  const folder = await checkout(t);
  const state = join(folder, '.countersign');

  t.test('--once starts everything, shows that it answers, and stops; so does a second run', async (t) => {
    const base = await freeBasePort();
    const first = await npm(folder, ['up', '--', '--once', '--base-port', String(base)]).ended;
    t.equal(first.code, 0, first.output);
    t.equal(first.output.match(/^ok {6}/gm)?.length, 7);
    t.equal(await left(folder), '', 'nothing is left running');
    const keyring = join(state, 'keyrings/npu-worker@127.0.0.1.json');
    const keys = await readFile(keyring, 'utf8');
    const second = await npm(folder, ['up', '--', '--once', '--base-port', String(base)]).ended;
    t.equal(second.code, 0, second.output);
    t.equal(await readFile(keyring, 'utf8'), keys, 'with the same keys');
    t.notOk((await readdir(state)).includes('up.json'));
  });

  t.test('shows the fleet in plain lines, takes npm run phase, and stops at SIGINT', async (t) => {
    const base = await freeBasePort();
    const up = npm(folder, ['up', '--', '--base-port', String(base)]);
    t.teardown(() => up.child.kill('SIGKILL'));
    await up.printed(/npm run phase enforcing/);
    t.match(
      up.output,
      new RegExp(`^npu-worker +logging +${base + 108} +${base + 101} +${base + 106} +${base + 100} `, 'm'),
    );
    const another = await npm(folder, ['up', '--', '--base-port', String(base)]).ended;
    t.match(another, { code: 1, output: /found a local fleet already running/ });
    const phase = await npm(folder, ['phase', 'enforcing']).ended;
    t.match(phase, {
      code: 0,
      output: /^main-backend +enforcing.*\nnpu-worker +enforcing.*\nai-stack +enforcing/,
    });
    const written = JSON.parse(await readFile(join(state, 'up.json'), 'utf8'));
    t.equal(written.services['ai-stack'].phase, 'enforcing');
    await up.printed(/ai-stack is enforcing now/);
    up.child.kill('SIGINT');
    const { code, output } = await up.ended;
    t.match(output, /^swapped: npu-worker is enforcing now$/m, 'the board has seen the swap');
    t.equal(code, 0, output);
    t.equal(await left(folder), '', 'nothing is left running');
    t.match(await npm(folder, ['phase', 'logging']).ended, {
      code: 1,
      output: /found no running local fleet/,
    });
  });

  t.test('leaves nothing behind when npm alone is killed', async (t) => {
    const base = await freeBasePort();
    const up = npm(folder, ['up', '--', '--base-port', String(base)]);
    await up.printed(/npm run phase/);
    up.child.kill('SIGKILL');
    // Its output closes when the last process that holds it is gone.
    await up.ended;
    t.equal(await left(folder), '');
  });

  t.test('a taken port is one error that names it', async (t) => {
    const base = await freeBasePort();
    const port = layout(base)[1]?.inbound;
    const taken = createServer().listen(port, '127.0.0.1');
    await once(taken, 'listening');
    t.teardown(() => taken.close());
    const { code, output } = await npm(folder, ['up', '--', '--base-port', String(base)]).ended;
    t.equal(code, 1);
    t.match(output, new RegExp(`^up: found 127\\.0\\.0\\.1:${port} in use, expected it free: .*\\n$`));
    t.equal(await left(folder), '', 'nothing is left running');
  });

  t.test('wrong words are wrong usage', async (t) => {
    t.match(await npm(folder, ['up', '--', '--nonsense']).ended, { code: 64 });
    t.match(await npm(folder, ['phase', 'nonsense']).ended, {
      code: 64,
      output: /expected logging or enforcing/,
    });
  });

  t.test('a broken YAML file is one error that names file, line and column', async (t) => {
    for (const name of ['llm_models', 'authorization', 'fleet']) {
      const file = join(folder, `config/${name}.yaml`);
      const before = await readFile(file, 'utf8');
      await appendFile(file, '\nnonsense: [\n');
      const { code, output } = await npm(folder, ['up', '--', '--base-port', String(await freeBasePort())])
        .ended;
      t.not(code, 0);
      t.match(output, new RegExp(`${name}\\.yaml:\\d+:\\d+: .*expected`));
      t.equal(await left(folder), '', 'nothing is left running');
      await cp(join(root, `config/${name}.yaml`), file);
      t.equal(await readFile(file, 'utf8'), before);
    }
  });
});
