import { Agent, get, request } from 'node:http';
import t from 'tap';
import { type AdminSources, startAdmin } from '../../../sidecar/admin/server.ts';
import { readFrom } from '../../../sidecar/fleet-reader/from.ts';
import type { ObservedDocument, StatusDocument } from '../../../sidecar/telemetry/documents.ts';
import { EventFeed } from '../../../sidecar/telemetry/event-feed.ts';
import { Telemetry } from '../../../sidecar/telemetry/telemetry.ts';
import { deniedRecord } from '../../support/call-record.ts';
import { memoryLogger } from '../../support/log-lines.ts';
import { RawClient } from '../../support/raw-http.ts';

const status: StatusDocument = {
  service: 'npu-worker',
  host: '172.16.168.22',
  phase: 'logging',
  version: '1.2.3',
  build: 'b1',
  matrix: 'm1',
  fleet: 'f1',
  keys: { inbound: { 'main-backend': [{ kid: 'main-backend/3' }] }, outbound: {} },
  hops: [],
  uptime_seconds: 12,
  ready: true,
  workers: 1,
  app_exposed_on: [],
};
const observed: ObservedDocument = {
  since: '2026-11-23T00:00:00.000Z',
  phase: 'logging',
  recorded: [],
  observations: [],
  skew: [],
  keys_first_seen: {},
  hops: [],
  overflow: 0,
};

async function admin(t: { teardown(done: () => unknown): void }, changes: Partial<AdminSources> = {}) {
  const telemetry = new Telemetry({ service: 'npu-worker', peers: [], logger: memoryLogger().logger });
  telemetry.record(deniedRecord());
  const sources: AdminSources = {
    events: new EventFeed(() => {}, Date.now()),
    snapshot: () => telemetry.snapshot(),
    status: () => status,
    observed: () => observed,
    ...changes,
  };
  const started = await startAdmin({ host: '127.0.0.1', port: 0 }, sources);
  t.teardown(() => {
    telemetry.close();
    return started.close();
  });
  return `http://${started.address}`;
}

function ask(url: string, options: { method?: string; host?: string } = {}) {
  return new Promise<{ status: number; type: string; body: string }>((resolve, reject) => {
    const headers = options.host === undefined ? {} : { host: options.host };
    request(url, { method: options.method ?? 'GET', headers, agent: false }, (response) => {
      let body = '';
      response.on('data', (chunk) => {
        body += chunk;
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, type: response.headers['content-type'] ?? '', body }),
      );
    })
      .on('error', reject)
      .end();
  });
}

t.test('serves the four pages', async (t) => {
  const url = await admin(t);
  t.match(await ask(`${url}/metrics`), {
    status: 200,
    type: 'text/plain; version=0.0.4',
    body: 'countersign_phase_info',
  });
  const gathered_at = /^\d{4}-.*Z$/;
  t.match(JSON.parse((await ask(`${url}/status`)).body), { ...status, gathered_at });
  t.match(JSON.parse((await ask(`${url}/denials?x=1`)).body), {
    gathered_at,
    denials: [{ reason: 'not-authorized' }],
  });
  t.match(JSON.parse((await ask(`${url}/observed`)).body), { ...observed, gathered_at });
  t.match(await readFrom([url]), [
    { from: url, status, observed, denials: { denials: [{ request_id: 'r-1' }] } },
  ]);
});

t.test('refuses other pages, methods and names by a problem', async (t) => {
  const url = await admin(t);
  const type = 'application/problem+json';
  t.match(await ask(`${url}/`), { status: 404, type });
  t.match(await ask(`${url}/metrics/..`), { status: 404, type });
  t.match(await ask(`${url}/status`, { method: 'POST' }), { status: 405, type });
  t.match(await ask(`${url}/status`, { host: 'attacker.example' }), { status: 421, type }, 'DNS rebinding');
  t.match(await ask(`${url}/status`, { host: '127.0.0.1.attacker.example' }), { status: 421, type });
  for (const host of [
    '127.999.999.999',
    '127.0.0.1:99999',
    '127.1',
    '[127.0.0.1]',
    '127.0.0.1.5',
    'localhost.',
  ])
    t.match(await ask(`${url}/status`, { host }), { status: 421, type }, host);
  t.match(await ask(`${url}/status`, { host: '[::1]:80' }), { status: 200 });
  t.match(await ask(`${url}/status`, { host: 'localhost' }), { status: 200 });
});

t.test('attack: a second Host field', async (t) => {
  const { port } = new URL(await admin(t));
  for (const hosts of [
    'Host: 127.0.0.1\r\nHost: attacker.example',
    'Host: attacker.example\r\nhost: 127.0.0.1',
    'Host: 127.0.0.1\r\nHost: 127.0.0.1',
  ]) {
    const client = await RawClient.connect(t, Number(port));
    client.write(`GET /status HTTP/1.1\r\n${hosts}\r\nConnection: close\r\n\r\n`);
    t.match(await client.until(() => false), /^HTTP\/1\.1 4(?:00|21) /, hosts);
  }
});

t.test('a source that fails is a 500 that tells nothing', async (t) => {
  const url = await admin(t, {
    status: () => {
      throw new Error('secret');
    },
  });
  const answer = await ask(`${url}/status`);
  t.equal(answer.status, 500);
  t.notMatch(answer.body, /secret/);
});

t.test('listens on loopback only', async (t) => {
  const sources = {
    snapshot: () => t.fail(),
    status: () => status,
    observed: () => observed,
    events: { close() {} },
  } as never;
  for (const host of ['0.0.0.0', '::', '192.0.2.1', 'example.org'])
    await t.rejects(startAdmin({ host, port: 0 }, sources), { message: /expected a loopback address/ });
  const six = await startAdmin({ host: '::1', port: 0 }, sources).catch(() => undefined);
  await six?.close();
});

t.test('closes although a client keeps its connection', async (t) => {
  const agent = new Agent({ keepAlive: true });
  const telemetry = new Telemetry({ service: 'npu-worker', peers: [], logger: memoryLogger().logger });
  const events = new EventFeed(() => {}, Date.now());
  const sources = {
    snapshot: () => telemetry.snapshot(),
    status: () => status,
    observed: () => observed,
    events,
  };
  const started = await startAdmin({ host: '127.0.0.1', port: 0 }, sources);
  await new Promise((resolve) =>
    get({ port: started.address.split(':')[1], path: '/status', agent }, (response) =>
      response.resume().on('end', resolve),
    ),
  );
  await started.close();
  telemetry.close();
  agent.destroy();
  t.pass('closed');
});
