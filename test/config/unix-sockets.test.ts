import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { lstat, writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import net, { createServer as createNetServer } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import t, { type Test } from 'tap';
import { build, dist } from '../../tools/build.ts';
import { fleetOf, keyringsOf } from '../support/keyrings.ts';
import { runCountersign } from '../support/run-countersign.ts';
import { sidecarFolder, startBuilt } from '../support/started-sidecar.ts';

interface BindOnly {
  _createServerHandle(path: string, port: -1, family: -1): { fd: number; close(): void };
}

t.before(() => build(['countersign', 'countersign-enforcing']));

/** npu-worker, which calls itself through its own sidecar: outbound, a route and admin on UNIX sockets. */
async function place(t: Test) {
  return sidecarFolder(t, (files, { inbound, app }) => {
    const fleet = fleetOf({ 'npu-worker': ['127.0.0.1'] }, inbound, app);
    return {
      ...files,
      'sidecar.yaml': (files['sidecar.yaml'] as string)
        .replace(
          /outbound: .*/,
          'outbound: { listen: unix:out.sock, routes: { unix:route.sock: npu-worker } }',
        )
        .replace(/admin: .*/, 'admin: { listen: unix:admin.sock }'),
      'fleet.yaml': `services:\n  npu-worker: { hosts: [127.0.0.1], inbound: ${inbound}, app: ${app} }\n`,
      'authorization.yaml': 'services:\n  npu-worker: { callers: { npu-worker: [ "* /**" ] } }\n',
      'keyring.json': JSON.stringify(keyringsOf(fleet).get('npu-worker@127.0.0.1')),
    };
  });
}

function call(socketPath: string, path: string, host: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    request({ socketPath, path, headers: { host }, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (piece: string) => {
        text += piece;
      });
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    })
      .on('error', reject)
      .end();
  });
}

t.test(
  'calls go through UNIX sockets of outbound and of routes, and operators read admin on one',
  async (t) => {
    const where = await place(t);
    const app = createServer((incoming, response) => response.end(`${incoming.headers['x-service-id']}`));
    await new Promise<void>((resolve) => app.listen(where.ports.app, '127.0.0.1', resolve));
    t.teardown(() => app.close().closeAllConnections());
    const sidecar = await startBuilt(t, where);
    const at = (name: string) => join(where.folder, name);
    t.match(await call(at('out.sock'), '/x', 'npu-worker'), { status: 200, text: 'npu-worker' });
    t.match(await call(at('route.sock'), '/x', 'anything'), { status: 200, text: 'npu-worker' });
    t.match(await call(at('out.sock'), '/x', 'nobody'), { status: 502, text: /npu-worker/ });
    t.equal((await call(at('admin.sock'), '/status', 'localhost')).status, 200);
    for (const name of ['out.sock', 'route.sock', 'admin.sock'])
      t.equal((await lstat(at(name))).mode & 0o777, 0o660, `${name}: owner and group only`);

    const from = ['--from', `unix:${at('admin.sock')}`];
    t.match(await runCountersign(['why', '--last', ...from]), { code: 0, stdout: /unknown-callee/ });
    await writeFile(at('gate.json'), JSON.stringify({ created: '2026-11-23T12:00:00Z', seen: [], skew: [] }));
    const guard = await runCountersign([
      'guard',
      '--once',
      '--for',
      '1s',
      '--gated',
      at('gate.json'),
      ...from,
    ]);
    t.notMatch(guard.stdout + guard.stderr, /does not answer|expected a URL/);

    sidecar.child.kill('SIGTERM');
    t.equal(await sidecar.exited, 0);
    await t.rejects(lstat(at('out.sock')), { code: 'ENOENT' }, 'removed at the end');
  },
);

t.test(
  'a socket that a killed sidecar has left is replaced, and one in use or another file is not',
  async (t) => {
    const where = await place(t);
    const first = await startBuilt(t, where);
    first.child.kill('SIGKILL');
    await first.exited;
    t.ok((await lstat(join(where.folder, 'out.sock'))).isSocket(), 'left behind');
    const second = await startBuilt(t, where);
    t.match(second.output(), /"event":"ready"/);
    second.child.kill('SIGTERM');
    t.equal(await second.exited, 0);

    const holder = createNetServer();
    await new Promise<void>((resolve) => holder.listen(join(where.folder, 'out.sock'), resolve));
    const third = await startBuilt(t, where);
    t.equal(await third.exited, 78);
    t.match(
      third.output(),
      /out\.sock: found a socket on which another process listens, expected an address of its own/,
    );
    await new Promise((resolve) => holder.close(resolve));

    await writeFile(join(where.folder, 'out.sock'), 'data');
    const fourth = await startBuilt(t, where);
    t.equal(await fourth.exited, 78);
    t.match(fourth.output(), /out\.sock: found a file that is no socket, expected nothing, or an old socket/);
  },
);

t.test('under socket activation the socket unit owns the path', async (t) => {
  const where = await place(t);
  const path = join(where.folder, 'route.sock');
  // Bound and not accepted on, as systemd holds it; net.Server would accept as well.
  const held = (net as unknown as BindOnly)._createServerHandle(path, -1, -1);
  t.teardown(() => held.close());
  const app = createServer((_, response) => response.end('from the app'));
  await new Promise<void>((resolve) => app.listen(where.ports.app, '127.0.0.1', resolve));
  t.teardown(() => app.close().closeAllConnections());
  const words = ['-c', 'LISTEN_PID=$$ exec "$0" "$@"', join(dist, 'countersign-enforcing')];
  const child = spawn('sh', [...words, '--config', join(where.folder, 'sidecar.yaml')], {
    stdio: ['ignore', 'pipe', 'inherit', held.fd],
    env: { PATH: process.env.PATH, LISTEN_FDS: '1', LISTEN_FDNAMES: 'route' },
  });
  t.teardown(() => child.kill('SIGKILL'));
  for await (const line of child.stdout as Readable) if (String(line).includes('"event":"ready"')) break;
  t.match(await call(path, '/x', 'anything'), { status: 200, text: 'from the app' });
  child.kill('SIGTERM');
  await once(child, 'exit');
  t.ok((await lstat(path)).isSocket(), 'the path stays');
});
