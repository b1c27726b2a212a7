import { execFile } from 'node:child_process';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { promisify } from 'node:util';
import t, { type Test } from 'tap';
import { build, dist } from '../../tools/build.ts';
import { httpCall } from '../support/http-call.ts';
import { listeningPorts, sidecarFolder, startBuilt } from '../support/started-sidecar.ts';
import { tempFolder } from '../support/temp-folder.ts';

const run = promisify(execFile);
const { stdout: help } = await run(process.execPath, ['--help']);
const fromHelp = (pattern: RegExp) => [
  ...new Set([...help.matchAll(pattern)].map(([, name]) => name as string)),
];

/** Variables that `node --help` lists, and those that Node reads without listing them. */
const variables = [
  ...fromHelp(/^(NODE_[A-Z0-9_]+|UV_[A-Z_]+)/gm),
  ...['NODE_OPTIONS', 'NODE_COMPILE_CACHE', 'NODE_USE_ENV_PROXY', 'NODE_USE_SYSTEM_CA', 'NODE_ICU_DATA'],
  ...['NODE_TEST_CONTEXT', 'NODE_INSPECT_RESUME_ON_START', 'NODE_DEBUG_ENABLED', 'NODE_REPL_MODE'],
  ...['NODE_PRESERVE_SYMLINKS_MAIN', 'NODE_RUN_SCRIPT_NAME', 'NODE_SEA_BLOB', 'NODE_OPENSSL_CONF_NAME'],
];
const options = fromHelp(/^ {2}(?:-\w, )?(--[a-z0-9-]+)/gm);

const secret = Buffer.alloc(32, 7).toString('base64');

t.before(() => build(['countersign-enforcing']));

/** A module that tells when it is run, and a folder that Node may write to. */
async function bait(folder: string): Promise<{ module: string; output: string; ran: string }> {
  const paths = {
    module: join(folder, 'bait.cjs'),
    output: join(folder, 'written'),
    ran: join(folder, 'ran'),
  };
  await writeFile(paths.module, `require('node:fs').writeFileSync(${JSON.stringify(paths.ran)}, 'x')`);
  await mkdir(paths.output);
  return paths;
}

async function place(t: Test) {
  return sidecarFolder(t, (files) => ({
    ...files,
    'keyring.json': JSON.stringify({
      service: 'npu-worker',
      host: '127.0.0.1',
      outbound: {},
      inbound: { 'main-backend': [{ kid: 'main-backend/1', key: secret }] },
    }),
  }));
}

/** The binary with this environment: nothing was loaded, opened or told, and the verdict is what it is without. */
async function assertUnmoved(
  t: Test,
  title: string,
  env: (baits: Awaited<ReturnType<typeof bait>>) => Record<string, string>,
) {
  const where = await place(t);
  const baits = await bait(where.folder);
  const sidecar = await startBuilt(t, where, env(baits));
  if (sidecar.child.exitCode === null) {
    const { outbound, inbound, admin, route } = where.ports;
    const refused = await httpCall(inbound, { target: '/api/process', method: 'POST' });
    t.match(JSON.parse(refused.text), { status: 401, reason: 'missing-signature' }, title);
    t.same(
      await listeningPorts(sidecar.child.pid as number),
      [outbound, inbound, admin, route].sort((a, b) => a - b),
      `${title}: opens no port`,
    );
    sidecar.child.kill('SIGTERM');
    await sidecar.exited;
  }
  const entries = await readdir(where.folder, { recursive: true, withFileTypes: true });
  t.notOk(
    entries.some(({ name }) => name === 'ran'),
    `${title}: loads no code`,
  );
  const written = entries.filter((entry) => entry.isFile() && entry.name !== 'keyring.json');
  const texts = await Promise.all(
    written.map(({ parentPath, name }) => readFile(join(parentPath, name), 'latin1')),
  );
  t.notOk(
    [sidecar.output(), ...texts].some((text) => text.includes(secret)),
    `${title}: tells no key`,
  );
}

for (const name of variables) {
  t.test(`${name} changes nothing`, (t) =>
    assertUnmoved(t, 'a module', ({ module }) => ({
      [name]: name === 'NODE_OPTIONS' ? `--require=${module} --inspect=0` : module,
    })),
  );
}

t.test('all of them at once change nothing', async (t) => {
  const all = (value: string) => Object.fromEntries(variables.map((name) => [name, value]));
  await assertUnmoved(t, 'a folder', ({ output }) => all(output));
  await assertUnmoved(t, '1', () => all('1'));
});

t.test('every section of NODE_DEBUG at once', async (t) => {
  await assertUnmoved(t, 'all sections', () => ({ NODE_DEBUG: '*', NODE_DEBUG_NATIVE: '*' }));
});

t.test('a proxy of the environment gets none of the calls', async (t) => {
  const asked: string[] = [];
  const proxy = createServer((request, response) => {
    asked.push(String(request.url));
    response.end();
  });
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve));
  t.teardown(() => proxy.close());
  const { port } = proxy.address() as { port: number };
  const url = `http://127.0.0.1:${port}`;
  await assertUnmoved(t, 'proxy', () => ({ NODE_USE_ENV_PROXY: '1', HTTP_PROXY: url, http_proxy: url }));
  t.same(asked, []);
});

t.test('no option of Node is taken: not as an argument, not from NODE_OPTIONS', async (t) => {
  t.ok(options.length > 100, `${options.length} options`);
  const known = new Set(['--help', '--version', '--config']);
  const wrong = async (option: string) => {
    const child = await run(join(dist, 'countersign-enforcing'), [option]).then(
      () => ({ code: 0, stderr: '' }),
      (error: { code: number; stderr: string }) => error,
    );
    // 9: Node reads the file that its own option --experimental-config-file names, and there is none.
    t.ok(child.code === 64 || child.code === 9, `${option}: ${child.code}`);
    t.notMatch(child.stderr, /Debugger|inspector/i, option);
  };
  const asked = options.filter((option) => !known.has(option));
  for (let at = 0; at < asked.length; at += 4) await Promise.all(asked.slice(at, at + 4).map(wrong));
  const folder = await tempFolder(t);
  const { module, ran } = await bait(folder);
  const config = join(folder, 'node.config.json');
  await writeFile(
    config,
    JSON.stringify({ nodeOptions: { inspect: true, import: [module], require: [module] } }),
  );
  await wrong(`--experimental-config-file=${config}`);
  await t.rejects(readFile(ran), { code: 'ENOENT' }, 'a configuration file of Node loads nothing');
  await assertUnmoved(t, 'NODE_OPTIONS', ({ module }) => ({
    NODE_OPTIONS: options.map((option) => `${option}=${module}`).join(' '),
  }));
});
