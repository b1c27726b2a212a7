import { chmod, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { freePorts, launchSidecar, type SidecarOptions, writeFleet } from '../support/sidecar-process.ts';
import { tempFolder } from '../support/temp-folder.ts';
import { authorization } from './attacks/target.ts';

async function options(test: Test): Promise<SidecarOptions & { fleet: string }> {
  const folder = await tempFolder(test);
  const [outbound, inbound, admin] = (await freePorts(3)) as [number, number, number];
  await writeFleet(
    folder,
    {
      'npu-worker': { inbound, app: 1 },
      'main-backend': { inbound: 2, app: 3 },
      'ai-stack': { inbound: 4, app: 5 },
    },
    authorization,
  );
  return {
    phase: 'enforcing',
    folder: join(folder, 'npu-worker'),
    fleet: folder,
    service: 'npu-worker',
    ports: { outbound, inbound, admin },
    app: 1,
  };
}

/** The binary does not start: it says why, and exits with 78. */
async function refused(test: Test, given: SidecarOptions, why: RegExp): Promise<void> {
  const sidecar = await launchSidecar(test, given);
  test.equal((await sidecar.exited).code, 78);
  test.match(sidecar.stderr, why);
  test.notMatch(sidecar.stderr, /^\s+at /m, 'no stack');
}

t.test('a wrong sidecar.yaml is named with file, line and column', async (t) => {
  const given = await options(t);
  for (const [further, why] of [
    ['limits: { head: 16 KiB }', /sidecar\.yaml:9:17: limits\.head: found .*expected/],
    ['limits: { heads: 16KiB }', /sidecar\.yaml:9:\d+: .*heads/],
    ['timeouts: { response: 10m }', /sidecar\.yaml:9:\d+: timeouts\.drain/],
    ['enforcement: false', /sidecar\.yaml:9:1: .*enforcement/],
    ['service: again', /sidecar\.yaml:9:1: .*/],
    ['{', /sidecar\.yaml:\d+:\d+: /],
  ] as const)
    await refused(t, { ...given, further }, why);
  await refused(t, { ...given, service: 'nobody' }, /nobody.*npu-worker, main-backend, ai-stack/);
  await refused(t, { ...given, routes: { '127.0.0.1:9': 'nobody' } }, /sidecar\.yaml.*nobody.*npu-worker/);
});

t.test('wrong files beside it', async (t) => {
  const given = await options(t);
  const keyring = join(given.folder, 'keyring.json');
  await chmod(keyring, 0o640);
  await refused(t, given, /keyring\.json.*(?:0600|chmod)/);
  await chmod(keyring, 0o600);
  await writeFile(join(given.fleet, 'authorization.yaml'), authorization.replace('GET /api/status/*', 'GTE'));
  await refused(t, given, /authorization\.yaml:5:\d+: /);
});

t.test('a port that is taken: one clear error, and nothing is left', async (t) => {
  const given = await options(t);
  for (const name of ['inbound', 'outbound', 'admin'] as const) {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(given.ports[name], '127.0.0.1', resolve));
    await refused(t, given, new RegExp(`EADDRINUSE.*${given.ports[name]}.*sidecar\\.yaml`));
    await new Promise((resolve) => server.close(resolve));
  }
  const sidecar = await launchSidecar(t, given);
  await sidecar.said('ready');
  t.equal(await sidecar.stop(), 0, 'state and ports were free for the next start');
});
