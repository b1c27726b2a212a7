import { chmod, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Diagnosis } from '../../../sidecar/doctor/finding.ts';
import { httpCall } from '../../support/http-call.ts';
import { runCountersign } from '../../support/run-countersign.ts';
import {
  freePorts,
  type Phase,
  type SidecarProcess,
  startSidecar,
  writeFleet,
} from '../../support/sidecar-process.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const authorization = `services:
  billing:
    public: [ GET /health ]
    callers: { orders: [ POST /invoices, GET /version ] }
  orders:
    callers: { billing: [ POST /paid ] }
`;

interface Broken {
  readonly folder: string;
  readonly orders: SidecarProcess;
  readonly billing: SidecarProcess;
  readonly ports: Readonly<
    Record<'ordersOut' | 'ordersAdmin' | 'billingIn' | 'billingAdmin' | 'ordersApp', number>
  >;
  /** Has the app of orders stop. */
  readonly stopApp: () => Promise<void>;
}

/** orders on 127.0.0.2 calls billing on 127.0.0.3, each with an app behind its built sidecar. */
async function fleetOfTwo(t: Test, phase: Phase = 'enforcing', appHost = '127.0.0.1'): Promise<Broken> {
  const folder = await tempFolder(t);
  const app = createServer((_request, response) => response.end('fine'));
  await new Promise<void>((resolve) => app.listen(0, appHost, resolve));
  const stopApp = () =>
    new Promise<void>((resolve) => {
      app.close(() => resolve());
      app.closeAllConnections();
    });
  t.teardown(stopApp);
  const { port } = app.address() as { port: number };
  const [ordersOut, ordersIn, ordersAdmin, billingOut, billingIn, billingAdmin] = (await freePorts(6)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  await writeFleet(
    folder,
    {
      orders: { host: '127.0.0.2', inbound: ordersIn, app: port },
      billing: { host: '127.0.0.3', inbound: billingIn, app: port },
    },
    authorization,
  );
  const start = (
    service: string,
    host: string,
    ports: { outbound: number; inbound: number; admin: number },
  ) => startSidecar(t, { phase, folder: join(folder, service), service, host, ports, app: port });
  const orders = await start('orders', '127.0.0.2', {
    outbound: ordersOut,
    inbound: ordersIn,
    admin: ordersAdmin,
  });
  const billing = await start('billing', '127.0.0.3', {
    outbound: billingOut,
    inbound: billingIn,
    admin: billingAdmin,
  });
  return {
    folder,
    orders,
    billing,
    stopApp,
    ports: { ordersOut, ordersAdmin, billingIn, billingAdmin, ordersApp: port },
  };
}

/** What `countersign doctor` says of the host of orders: its exit code, and the failures and warnings by check. */
async function doctorOfOrders({ folder }: Broken) {
  return doctor('--config', join(folder, 'orders/sidecar.yaml'));
}

async function doctor(...words: string[]) {
  const { code, stdout, stderr } = await runCountersign(['doctor', '--json', ...words]);
  if (stdout === '') throw new Error(stderr);
  const { checks } = JSON.parse(stdout) as Diagnosis;
  const found = (wanted: string) =>
    Object.fromEntries(
      checks.flatMap(({ name, findings }) => {
        const lines = findings.flatMap((finding) =>
          finding.result === wanted ? [`${finding.found} → ${'todo' in finding ? finding.todo : ''}`] : [],
        );
        return lines.length === 0 ? [] : [[name, lines.join('\n')]];
      }),
    );
  return { code, failed: found('failed'), warned: found('warning'), ok: found('ok') };
}

/** What this machine may lack, whatever the fleet is like. */
function withoutMachine(found: Record<string, string>): Record<string, string> {
  const { 'clock-synchronized': _clock, 'disk-space': _disk, ...rest } = found;
  return rest;
}

t.test('a healthy host: nothing failed, and the signed probe went to the peer and came back', async (t) => {
  const fleet = await fleetOfTwo(t);
  const { failed, warned, ok } = await doctorOfOrders(fleet);
  t.same(withoutMachine(failed), {});
  t.same(withoutMachine(warned), {});
  t.match(ok['signed-probe'], 'billing at 127.0.0.3: GET /version got 200');
});

t.test(
  'for people: groups, a mark a line, what to do, and no escape codes where nobody watches',
  async (t) => {
    const fleet = await fleetOfTwo(t);
    await fleet.stopApp();
    const { code, stdout } = await runCountersign([
      'doctor',
      '--config',
      join(fleet.folder, 'orders/sidecar.yaml'),
    ]);
    t.equal(code, 1);
    t.match(stdout, /^files\n-----\n√ sidecar\.yaml and the files/);
    t.match(
      stdout,
      /^× the app takes connections from its sidecar\n {4}127\.0\.0\.1:\d+: ECONNREFUSED\n {4}→ start the app/m,
    );
    t.match(stdout, /\n× \d+ failed, \d+ warnings?\n$/);
    // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
    t.notMatch(stdout, /\x1b/);
  },
);

t.test('a stopped peer is named with its address', async (t) => {
  const fleet = await fleetOfTwo(t);
  await fleet.billing.stop();
  const { code, failed } = await doctorOfOrders(fleet);
  t.equal(code, 1);
  t.match(
    failed['peers-sealed'],
    `billing at 127.0.0.3:${fleet.ports.billingIn}: ECONNREFUSED → start its sidecar`,
  );
  t.notOk('signed-probe' in failed, 'what could not be tried is not counted twice');
});

t.test('a pair key that the two ends do not share is named', async (t) => {
  const fleet = await fleetOfTwo(t);
  const file = join(fleet.folder, 'orders/keyring.json');
  const keyring = JSON.parse(await readFile(file, 'utf8'));
  keyring.outbound.billing.keys['127.0.0.3'] = Buffer.alloc(32, 99).toString('base64');
  await writeFile(file, JSON.stringify(keyring));
  const { failed } = await doctorOfOrders(fleet);
  t.match(failed['peers-sealed'], /another key under this key id/);
});

t.test('a stopped sidecar: listeners, admin and proxy are named, and nothing is made up', async (t) => {
  const fleet = await fleetOfTwo(t);
  await fleet.orders.stop();
  const { failed } = await doctorOfOrders(fleet);
  t.match(failed['listeners-open'], `outbound at 127.0.0.1:${fleet.ports.ordersOut}: ECONNREFUSED`);
  t.match(failed['own-sidecar'], 'ECONNREFUSED');
  t.match(failed['proxy-answers'], 'ECONNREFUSED');
  t.notOk('ready' in failed);
});

t.test('another program at the outbound port is told from a sidecar', async (t) => {
  const fleet = await fleetOfTwo(t);
  await fleet.orders.stop();
  const other = createServer((_request, response) => response.end());
  await new Promise<void>((resolve) => other.listen(fleet.ports.ordersOut, '127.0.0.1', resolve));
  t.teardown(() => other.close());
  const { failed } = await doctorOfOrders(fleet);
  t.match(failed['proxy-answers'], 'HTTP 200 → start the sidecar, or stop what else listens');
});

t.test(
  'an app on every address fails when its sidecar enforces, and is a warning while it logs',
  async (t) => {
    const enforcing = await doctorOfOrders(await fleetOfTwo(t, 'enforcing', '0.0.0.0'));
    t.match(enforcing.failed['app-on-loopback'], 'it listens on 0.0.0.0 too: calls go around the sidecar');
    const logging = await doctorOfOrders(await fleetOfTwo(t, 'logging', '0.0.0.0'));
    t.match(logging.warned['app-on-loopback'], 'before you enforce');
  },
);

t.test('files: a fault, wrong modes, and a matrix that the sidecar refused to load', async (t) => {
  const fleet = await fleetOfTwo(t);
  const matrix = join(fleet.folder, 'authorization.yaml');
  await writeFile(matrix, authorization.replace('billing:\n    public', 'biling:\n    public'));
  await chmod(join(fleet.folder, 'orders/keyring.json'), 0o644);
  await chmod(join(fleet.folder, 'fleet.yaml'), 0o666);
  const { code, failed } = await doctorOfOrders(fleet);
  t.equal(code, 1);
  t.match(
    failed['files-valid'],
    /authorization\.yaml:2:3: services\.biling: found the unknown service "biling", expected billing/,
  );
  t.match(failed['files-valid'], /keyring\.json: found mode 0644/);
  t.match(failed['files-private'], /keyring\.json: mode 0644, expected 0600 → chmod 600/);
  t.match(failed['files-private'], /fleet\.yaml: mode 0666, group or others may write it/);
});

t.test('a denied probe says why: the callee runs another matrix', async (t) => {
  const fleet = await fleetOfTwo(t);
  const own = join(fleet.folder, 'own.yaml');
  await writeFile(own, authorization.replace('GET /version', 'GET /secret'));
  const config = join(fleet.folder, 'orders/sidecar.yaml');
  await writeFile(config, (await readFile(config, 'utf8')).replace('../authorization.yaml', '../own.yaml'));
  const { failed } = await doctorOfOrders(fleet);
  t.match(failed['signed-probe'], 'GET /secret is denied: not-authorized');
  t.match(failed['policy-loaded'], 'it runs another authorization.yaml');
});

t.test('a fleet: healthy, then with one sidecar silent and a file of another fleet', async (t) => {
  const fleet = await fleetOfTwo(t, 'logging');
  await httpCall(fleet.ports.ordersOut, { target: 'http://billing/version' });
  const words = [
    '--fleet',
    join(fleet.folder, 'fleet.yaml'),
    '--keyring',
    join(fleet.folder, 'orders/keyring.json'),
    '--from',
    `http://127.0.0.1:${fleet.ports.ordersAdmin}`,
    '--from',
    `http://127.0.0.1:${fleet.ports.billingAdmin}`,
  ];
  const healthy = await doctor(...words);
  t.same(healthy.failed, {});
  t.equal(healthy.code, 0);
  t.match(healthy.ok['one-phase'], 'logging');

  await fleet.billing.stop();
  await writeFile(join(fleet.folder, 'other.yaml'), `${authorization}# another\n`);
  const broken = await doctor(...words, '--authorization', join(fleet.folder, 'other.yaml'));
  t.equal(broken.code, 1);
  t.match(broken.failed['sidecars-answer'], 'no answer (ECONNREFUSED)');
  t.match(broken.failed['sidecars-answer'], 'billing on 127.0.0.3 was not read');
  t.match(broken.failed['peers-sealed'], 'billing at 127.0.0.3');
  t.match(broken.failed['policy-loaded'], 'orders on 127.0.0.2 runs another authorization.yaml');
});

t.test('says what it needs when there is nothing to look at', async (t) => {
  const folder = await tempFolder(t);
  const missing = await doctor('--config', join(folder, 'none.yaml'));
  t.equal(missing.code, 1);
  t.match(missing.failed['files-valid'], 'none.yaml');
  const wrong = await runCountersign(['doctor', '--keyring', 'keyring.json']);
  t.equal(wrong.code, 64);
  t.match(wrong.stderr, '--keyring: found no --fleet');
});
