import { spawnSync } from 'node:child_process';
import { chmod, cp, mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { leaveSettledState } from '../../../tools/settled-state.ts';
import { httpCall } from '../../support/http-call.ts';
import { type Ran, runCountersign } from '../../support/run-countersign.ts';
import { startBuilt } from '../../support/started-sidecar.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const two = ['--service', 'orders=10.0.0.2:3000', '--service', 'billing=10.0.0.3:5000'];
const allow = ['--allow', 'orders POST billing /invoices'];

function init(...args: string[]): Promise<Ran> {
  return runCountersign(['init', ...args]);
}

/** Makes a fleet of two services, or what the arguments say. */
async function madeFleet(t: Test, args: readonly string[] = [...two, ...allow]): Promise<string> {
  const dir = join(await tempFolder(t), 'fleet');
  const { code, stderr } = await init('--dir', dir, ...args);
  t.equal(code, 0, stderr);
  return dir;
}

/** Every file below a folder with its text, but for the registry, which every command opens. */
async function texts(folder: string): Promise<Record<string, string>> {
  const found = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = found.filter((entry) => entry.isFile() && entry.name !== 'registry');
  const paths = files.map((entry) => join(entry.parentPath, entry.name)).sort();
  return Object.fromEntries(
    await Promise.all(
      paths.map(async (path) => [path.slice(folder.length), await readFile(path, 'utf8')] as const),
    ),
  );
}

t.test('secrets have mode 0600, and the next steps name the backup and the proxy of each app', async (t) => {
  const dir = join(await tempFolder(t), 'fleet');
  const { stdout } = await init('--dir', dir, ...two, ...allow, '--operator', 'ops=10.0.0.9');
  t.match(stdout, 'countersign keys backup --registry');
  t.match(stdout, 'NODE_USE_ENV_PROXY=1');
  t.match(stdout, 'orders on 10.0.0.2: HTTP_PROXY=http://127.0.0.1:15001');
  for (const secret of ['registry', 'keyrings/orders@10.0.0.2.json', 'hosts/orders@10.0.0.2/keyring.json'])
    t.equal((await stat(join(dir, secret))).mode & 0o777, 0o600, secret);
  t.equal((await stat(dir)).mode & 0o777, 0o700);
  t.same((await readdir(join(dir, 'hosts/ops@10.0.0.9'))).sort(), [
    'authorization.yaml',
    'fleet.yaml',
    'keyring.json',
  ]);
});

t.test('wrong input is refused before anything is written', async (t) => {
  const folder = await tempFolder(t);
  const dir = join(folder, 'fleet');
  const wrong: [args: string[], code: number, says: string][] = [
    [['--dir', dir], 64, 'found no --service'],
    [two, 64, 'found no --dir'],
    [['--dir', dir, '--service', 'Orders=10.0.0.2:3000'], 64, 'expected a service name'],
    [['--dir', dir, '--service', 'orders=host.example:3000'], 64, 'expected an IP address'],
    [['--dir', dir, '--service', 'orders=10.0.0.2:70000'], 64, 'expected a port'],
    [['--dir', dir, ...two, '--service', 'orders=10.0.0.4:3001'], 64, 'the same port on all of its hosts'],
    [['--dir', dir, ...two, '--allow', 'orders POST billing'], 64, 'CALLER METHOD CALLEE /path'],
    [['--dir', dir, ...two, '--allow', 'orders post billing /x'], 64, 'methods in capitals'],
    [['--dir', dir, ...two, '--allow', 'orders GET bilings /x'], 78, 'the unknown service "bilings"'],
    [['--dir', dir, ...two, ...allow, ...allow], 78, 'POST /invoices'],
    [
      ['--dir', dir, '--service', 'a=10.0.0.2:3000', '--service', 'b=10.0.0.2:3000'],
      78,
      'a has 3000 on 10.0.0.2',
    ],
  ];
  for (const [args, code, says] of wrong) {
    const ran = await init(...args);
    t.equal(ran.code, code, args.join(' '));
    t.match(ran.stderr, says);
  }
  t.same(await readdir(folder), []);
});

t.test('a folder that holds something is refused, be it a fleet or not', async (t) => {
  const dir = await madeFleet(t);
  const before = await texts(dir);
  const second = await init('--dir', dir, ...two);
  t.equal(second.code, 64);
  t.match(second.stderr, 'countersign init add changes a fleet');
  t.same(await texts(dir), before);

  const other = await tempFolder(t);
  await writeFile(join(other, 'mine'), 'mine');
  t.match((await init('--dir', other, ...two)).stderr, 'countersign init did not make');
  t.match(
    (await init('add', 'service', 'stock=10.0.0.4:3000', '--dir', other)).stderr,
    'found no fleet of countersign init',
  );
  t.same(await readdir(other), ['mine']);
});

t.test(
  'a further service gets ports of its own on a shared host, and the keys of the others stay',
  async (t) => {
    const dir = await madeFleet(t);
    const keyOfOrders = async () =>
      JSON.parse(await readFile(join(dir, 'keyrings/orders@10.0.0.2.json'), 'utf8')).outbound.billing;
    const key = await keyOfOrders();
    const sidecar = join(dir, 'hosts/orders@10.0.0.2/sidecar.yaml');
    await writeFile(sidecar, `${await readFile(sidecar, 'utf8')}# by hand\n`);

    const { code, stdout } = await init('add', 'service', 'stock=10.0.0.3:5001', '--dir', dir);
    t.equal(code, 0);
    t.match(stdout, 'stock got a key');
    t.match(stdout, 'stock is on the same machine as billing');
    t.match(
      await readFile(join(dir, 'hosts/stock@10.0.0.3/sidecar.yaml'), 'utf8'),
      'listen: 127.0.0.1:15101',
    );
    t.same(await keyOfOrders(), key);
    t.match(await readFile(sidecar, 'utf8'), '# by hand');
    const keyring = JSON.parse(await readFile(join(dir, 'hosts/orders@10.0.0.2/keyring.json'), 'utf8'));
    t.same(Object.keys(keyring.outbound).sort(), ['billing', 'orders', 'stock']);
  },
);

t.test('a further host and rule leave comments in place; a faulty one changes nothing', async (t) => {
  const dir = await madeFleet(t);
  const matrix = join(dir, 'authorization.yaml');
  await writeFile(matrix, `# ours\n${await readFile(matrix, 'utf8')}`);
  t.equal((await init('add', 'rule', 'billing GET orders /orders/*', '--dir', dir)).code, 0);
  t.equal((await init('add', 'public', 'orders GET /health', '--dir', dir)).code, 0);
  t.equal((await init('add', 'host', 'billing=10.0.0.4', '--dir', dir)).code, 0);
  const text = await readFile(matrix, 'utf8');
  t.match(text, /^# ours\n/);
  t.match(text, 'GET /orders/*');
  t.equal(await readFile(join(dir, 'hosts/billing@10.0.0.4/authorization.yaml'), 'utf8'), text);

  const before = await texts(dir);
  for (const [kind, what, says] of [
    ['rule', 'billing GET orders /orders/*', 'GET /orders/*'],
    ['rule', 'nobody GET orders /x', 'the unknown service "nobody"'],
    ['host', 'stock=10.0.0.4', 'the unknown service "stock"'],
    ['host', 'billing=10.0.0.4', 'already'],
    ['service', 'orders=10.0.0.5:3000', 'found a service orders already'],
  ] as const) {
    const ran = await init('add', kind, what, '--dir', dir);
    t.not(ran.code, 0, what);
    t.match(ran.stderr, says);
  }
  t.same(await texts(dir), before);
});

t.test('install.sh says all that is wrong with a host and changes nothing', async (t) => {
  const dir = await madeFleet(t);
  const host = join(dir, 'hosts/orders@10.0.0.2');
  await chmod(join(host, 'keyring.json'), 0o644);
  // On no machine can it be installed from a folder without executables.
  const { status, stderr } = spawnSync('/bin/bash', [join(host, 'install.sh'), '/nowhere'], {
    encoding: 'utf8',
  });
  t.equal(status, 1);
  t.match(stderr, 'found no executable /nowhere/countersign-logging');
  t.match(stderr, 'found mode 644, expected 600');
  t.match(stderr, 'Nothing was changed.');
});

t.test('the sidecars start from the folders; one call is allowed and another is denied', async (t) => {
  const app = createServer((request, response) => response.end(`${request.method} ${request.url}`));
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  t.teardown(() => app.close());
  const { port } = app.address() as { port: number };
  const dir = await madeFleet(t, [
    // These three get the ports that a local fleet (npm run up) has.
    ...['first', 'second', 'third'].flatMap((name, at) => ['--service', `${name}=127.0.0.9:${2000 + at}`]),
    ...['--service', 'orders=127.0.0.1:3000', '--service', `billing=127.0.0.2:${port}`],
    ...['--allow', 'orders POST billing /invoices'],
  ]);
  for (const place of ['billing@127.0.0.2', 'orders@127.0.0.1']) {
    const folder = join(await tempFolder(t), place);
    await mkdir(folder);
    await cp(join(dir, 'hosts', place), folder, { recursive: true });
    // The two files outside of the folder, which install.sh and systemd make on a host.
    const config = join(folder, 'sidecar.yaml');
    const text = (await readFile(config, 'utf8'))
      .replace('keyring: /etc/countersign/keyring.json', 'keyring: keyring.json')
      .replace('state: /var/lib/countersign', 'state: state');
    await writeFile(config, text);
    await leaveSettledState(join(folder, 'state'));
    const ports = { outbound: 0, inbound: 0, admin: 0, app: 0, route: 0 };
    const sidecar = await startBuilt(t, { folder, ports });
    t.match(sidecar.output(), '"event":"ready"');
  }
  const allowed = await httpCall(15_301, { method: 'POST', target: 'http://billing/invoices', body: '{}' });
  t.equal(allowed.text, 'POST /invoices');
  t.equal(allowed.status, 200);
  const denied = await httpCall(15_301, { target: 'http://billing/invoices' });
  t.equal(denied.status, 403);
});
