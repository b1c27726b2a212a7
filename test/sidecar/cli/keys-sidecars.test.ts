import { cp, mkdir, writeFile } from 'node:fs/promises';
import { Agent, createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { startRedis } from '../../support/redis-server.ts';
import { runCountersign } from '../../support/run-countersign.ts';
import { freePorts, startSidecar } from '../../support/sidecar-process.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const services = ['main-backend', 'npu-worker'] as const;

async function app(t: Test): Promise<number> {
  const server = createServer((incoming, response) => {
    incoming.resume().on('end', () => response.end(incoming.headers['x-service-id'] ?? 'nobody'));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  return (server.address() as AddressInfo).port;
}

/** Two services behind the built enforcing binary, with keys from a registry. */
async function fleet(t: Test) {
  const folder = await tempFolder(t);
  const redis = await startRedis(t);
  const ports = await freePorts(6);
  const apps = [await app(t), await app(t)];
  const portsOf = (index: number) => {
    const [outbound, inbound, admin] = ports.slice(3 * index, 3 * index + 3) as [number, number, number];
    return { outbound, inbound, admin };
  };
  const lines = services.map(
    (name, index) =>
      `  ${name}: { hosts: [127.0.0.1], inbound: ${portsOf(index).inbound}, app: ${apps[index]} }\n`,
  );
  await writeFile(join(folder, 'fleet.yaml'), `services:\n${lines.join('')}`);
  await writeFile(
    join(folder, 'authorization.yaml'),
    'services:\n  npu-worker: { callers: { main-backend: [ "* /api/**" ] } }\n  main-backend: { callers: { npu-worker: [ "* /api/**" ] } }\n',
  );
  const registry = ['--redis', `redis://127.0.0.1:${redis.port}`, '--fleet', join(folder, 'fleet.yaml')];
  const out = join(folder, 'out');
  const made = await runCountersign(['keys', 'init', ...registry, '--out', out]);
  t.equal(made.code, 0, made.stderr);
  const sidecars = await Promise.all(
    services.map(async (service, index) => {
      await mkdir(join(folder, service));
      await cp(join(out, `${service}@127.0.0.1.json`), join(folder, service, 'keyring.json'));
      return startSidecar(t, {
        phase: 'enforcing',
        folder: join(folder, service),
        service,
        ports: portsOf(index),
        app: apps[index] as number,
      });
    }),
  );
  const deliver = join(folder, 'deliver');
  await writeFile(
    deliver,
    `#!/bin/sh -e\nat="${folder}/$(basename "$2" @127.0.0.1.json)"\ninstall -m 600 "$2" "$at/.new"\nmv "$at/.new" "$at/keyring.json"\n`,
    { mode: 0o700 },
  );
  const from = services.flatMap((_, index) => ['--from', `http://127.0.0.1:${portsOf(index).admin}`]);
  const keys = (command: string, ...words: string[]) =>
    runCountersign(['keys', command, ...words, ...registry, ...from]);
  return { keys, portsOf, sidecars, bring: ['--out', out, '--deliver', deliver] };
}

/** A call as an app makes it: to its own sidecar, naming the callee. */
function call(agent: Agent, outbound: number, callee: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    request(
      { agent, port: outbound, host: '127.0.0.1', path: '/api/x', headers: { host: callee } },
      (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => {
          body += text;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, body }));
        response.on('error', reject);
      },
    )
      .on('error', reject)
      .end();
  });
}

t.test('built sidecars under traffic: a rotation loses no call, a revocation ends them', async (t) => {
  const { keys, portsOf, bring } = await fleet(t);
  const agent = new Agent({ keepAlive: true });
  t.teardown(() => agent.destroy());
  const answers: string[] = [];
  let going = true;
  const traffic = [
    [portsOf(0).outbound, 'npu-worker'],
    [portsOf(1).outbound, 'main-backend'],
  ].map(async ([outbound, callee]) => {
    while (going) {
      const { status, body } = await call(agent, outbound as number, callee as string);
      answers.push(status === 200 ? body : `${status} ${body}`);
    }
  });
  for (const _ of [1, 2]) {
    const ran = await keys('rotate', ...bring);
    t.match(ran, { code: 0, stdout: 'rotated\n' }, ran.stderr);
  }
  going = false;
  await Promise.all(traffic);
  t.ok(answers.length > 20, `${answers.length} calls`);
  t.strictSame(
    answers.filter((answer) => !services.includes(answer as 'npu-worker')),
    [],
    'every call was proven',
  );

  const status = await keys('status', '--json');
  t.equal(status.code, 0, status.stderr);
  const report = JSON.parse(status.stdout);
  const active = report.keys.filter((line: { state: string }) => line.state === 'active');
  t.match(active, [{ kid: 'main-backend/3' }, { kid: 'npu-worker/3' }]);
  for (const line of active) t.ok(line.uses > 0, `${line.kid} was used ${line.uses} times`);

  const revoked = await keys('revoke', 'main-backend', ...bring);
  t.match(revoked, { code: 0 }, revoked.stderr);
  t.not((await call(agent, portsOf(0).outbound, 'npu-worker')).status, 200);
  t.not((await call(agent, portsOf(1).outbound, 'main-backend')).status, 200);
});
