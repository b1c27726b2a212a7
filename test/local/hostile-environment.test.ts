import { mkdir, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { stringify } from 'yaml';
import { Child } from '../../sidecar/local/child.ts';
import { build, dist } from '../../tools/build.ts';
import { httpCall } from '../support/http-call.ts';
import { fleetOf, fleetYaml, keyringsOf } from '../support/keyrings.ts';
import { tempFolder } from '../support/temp-folder.ts';

const names = [
  'SERVICE_AUTH_ENFORCEMENT_MODE',
  'SERVICE_AUTH_ENFORCEMENT_PERCENTAGE',
  'SERVICE_AUTH_ENABLED',
  'SERVICE_AUTH_OVERRIDE',
  'SERVICE_AUTH_OVERRIDE_TOKEN',
  'AUTOBOT_SERVICE_AUTH_MODE',
  'COUNTERSIGN_PHASE',
  'COUNTERSIGN_MODE',
  'COUNTERSIGN_ENFORCEMENT',
  'COUNTERSIGN_ENFORCING',
  'ENFORCEMENT_MODE',
  'ENFORCE_AUTH',
  'AUTH_MODE',
  'DISABLE_AUTH',
  'SKIP_AUTH',
  'DRY_RUN',
  'FEATURE_FLAGS',
];
const off = ['false', '0', 'off', 'disabled', 'logging', 'audit', ''];
const on = ['true', '1', 'on', 'enabled', 'enforcing', 'strict', '100'];

/** Environments in which every name has, one after the other, three of the values. */
const environments = (values: readonly string[]) =>
  [0, 1, 2].map((shift) =>
    Object.fromEntries(names.map((name, index) => [name, values[(index + shift) % values.length] as string])),
  );

const token = 'a-token-that-lets-everything-pass';
const headers = {
  'x-service-auth-override': token,
  'x-override-token': token,
  'x-enforcement-mode': 'logging',
  'x-service-auth-mode': 'disabled',
  'x-skip-auth': 'true',
  'x-debug': '1',
  'x-service-id': 'main-backend',
  x_service_id: 'main-backend',
  authorization: `Bearer ${token}`,
  cookie: `enforcement=off; override=${token}`,
};

const keys = {
  enforcement_mode: 'logging',
  enforcement_percentage: 0,
  enforce: false,
  phase: 'logging',
  mode: 'logging',
  override_token: token,
  dry_run: true,
  audit: true,
  feature_flags: { enforce: false },
};

/** A service behind one sidecar, and what that sidecar is started with. */
async function place(
  t: Test,
): Promise<{ config: Record<string, object | string>; folder: string; inbound: number }> {
  const folder = await tempFolder(t);
  const app = createServer((_, response) => response.end('from the app'));
  const [outbound, inbound, admin] = (await freePorts(3)) as [number, number, number];
  const appPort = await listen(app);
  const fleet = fleetOf({ 'npu-worker': ['127.0.0.1'], 'main-backend': ['127.0.0.2'] }, inbound, appPort);
  await writeFile(join(folder, 'fleet.yaml'), fleetYaml(fleet));
  await writeFile(
    join(folder, 'authorization.yaml'),
    'services:\n  npu-worker: { callers: { main-backend: ["* /**"] } }\n',
  );
  const keyring = keyringsOf(fleet).get('npu-worker@127.0.0.1');
  await writeFile(join(folder, 'keyring.json'), JSON.stringify(keyring), { mode: 0o600 });
  await mkdir(join(folder, 'state'), { mode: 0o700 });
  const config = {
    service: 'npu-worker',
    outbound: { listen: `127.0.0.1:${outbound}` },
    inbound: { listen: `127.0.0.1:${inbound}`, app: `127.0.0.1:${appPort}` },
    admin: { listen: `127.0.0.1:${admin}` },
    fleet: 'fleet.yaml',
    authorization: 'authorization.yaml',
    keyring: 'keyring.json',
    state: 'state',
  };
  t.teardown(() => app.close());
  return { config, folder, inbound };
}

async function start(t: Test, name: string, folder: string, config: object): Promise<Child> {
  await writeFile(join(folder, 'sidecar.yaml'), stringify(config));
  const sidecar = new Child({
    name,
    command: join(dist, name),
    words: ['--config', join(folder, 'sidecar.yaml')],
    log: join(folder, 'log'),
    milestones: { ready: /^ready$/ },
  });
  t.teardown(() => sidecar.stop(5_000));
  return sidecar;
}

/** Environment of the processes that `run` starts. */
async function withEnvironment(values: Record<string, string>, run: () => Promise<void>): Promise<void> {
  const before = { ...process.env };
  Object.assign(process.env, values);
  try {
    await run();
  } finally {
    for (const name of Object.keys(values)) {
      if (before[name] === undefined) delete process.env[name];
      else process.env[name] = before[name];
    }
  }
}

t.before(async () => {
  await build(['countersign-logging', 'countersign-enforcing']);
});

t.test('no variable and no header makes the enforcing binary forward what it should refuse', async (t) => {
  const { config, folder, inbound } = await place(t);
  for (const environment of environments(off)) {
    await withEnvironment(environment, async () => {
      const sidecar = await start(t, 'countersign-enforcing', folder, config);
      await sidecar.reached('ready');
      const plain = await httpCall(inbound, { target: '/api/process' });
      t.match(JSON.parse(plain.text), { status: 401, reason: 'missing-signature' });
      const answer = await httpCall(inbound, {
        target: `/api/process?override_token=${token}&enforce=false`,
        headers,
      });
      t.match(
        JSON.parse(answer.text),
        { status: 401, reason: 'missing-signature' },
        'with headers that ask for it',
      );
      await sidecar.stop(5_000);
    });
  }
});

t.test('no variable makes the logging binary refuse', async (t) => {
  const { config, folder, inbound } = await place(t);
  for (const environment of environments(on)) {
    await withEnvironment(environment, async () => {
      const sidecar = await start(t, 'countersign-logging', folder, config);
      await sidecar.reached('ready');
      const answer = await httpCall(inbound, {
        target: '/api/process',
        headers: { 'x-enforcement-mode': 'enforcing' },
      });
      t.match(answer, { status: 200, text: 'from the app' });
      await sidecar.stop(5_000);
    });
  }
});

t.test('no configuration key switches anything: each is an error that names it', async (t) => {
  const { config, folder } = await place(t);
  for (const section of [undefined, 'inbound', 'limits'] as const) {
    const changed = section === undefined ? keys : { [section]: { ...(config[section] as object), ...keys } };
    const sidecar = await start(t, 'countersign-enforcing', folder, { ...config, ...changed });
    t.equal(await sidecar.ended, 78);
    const { message } = sidecar.endedEarly(78);
    for (const key of Object.keys(keys))
      t.match(message, `an unknown key "${key}"`, `${section ?? 'top'}: ${key}`);
  }
});

async function listen(server: Server): Promise<number> {
  const { promise, resolve } = Promise.withResolvers<void>();
  server.listen(0, '127.0.0.1', resolve);
  await promise;
  return (server.address() as AddressInfo).port;
}

async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(servers.map(listen));
  for (const server of servers) server.close();
  return ports;
}
