import { join } from 'node:path';
import t, { type Test } from 'tap';
import { openSealed } from '../../../sidecar/hop-client/sealed-call.ts';
import { deriveTlsPsk } from '../../../sidecar/keyring/derive.ts';
import { exchange, RawClient, type RawResponse } from '../../support/raw-http.ts';
import { buildSigned, outboundKey, type SignedRequest } from '../../support/signed-request.ts';
import { startTarget, type Target } from './target.ts';

interface Key {
  readonly kid: string;
  readonly key: Buffer;
}

/** npu-worker with main-backend as its operator; ai-stack is none. */
async function start(t: Test, phase: 'enforcing' | 'logging', further = '') {
  const target = await startTarget(t, phase, further, undefined, 'operators: [main-backend]\n');
  const operator = target.callerKey;
  const other = await outboundKey(join(target.folder, 'ai-stack/keyring.json'), 'npu-worker');
  return { target, operator, other };
}

async function sealed(t: Test, { inbound }: Target, { kid, key }: Key): Promise<RawClient> {
  const to = { host: '127.0.0.1', port: inbound, kid, psk: deriveTlsPsk(key) };
  const socket = await openSealed(to, 10_000);
  t.teardown(() => socket.destroy());
  return new RawClient(socket);
}

function signed(by: Key, changes: Partial<SignedRequest> = {}): Buffer {
  return buildSigned({
    ...by,
    host: 'npu-worker',
    method: 'GET',
    target: '/.well-known/countersign/status',
    ...changes,
  }).bytes;
}

async function ask(t: Test, target: Target, peer: Key, bytes: Buffer): Promise<RawResponse> {
  const client = await sealed(t, target, peer);
  client.write(bytes);
  return client.response();
}

for (const phase of ['enforcing', 'logging'] as const) {
  t.test(`the ${phase} binary shows its documents to an operator on a sealed connection`, async (t) => {
    const { target, operator } = await start(t, phase, 'workers: 2\n');
    for (const name of ['status', 'denials', 'observed', 'metrics'] as const) {
      const answer = await ask(
        t,
        target,
        operator,
        signed(operator, { target: `/.well-known/countersign/${name}` }),
      );
      t.equal(answer.status, 200, name);
      t.match(answer.body.toString(), name === 'metrics' ? /^# HELP / : /^\{/);
      t.notMatch(answer.head, /x-service-/i);
    }
    const head = await sealed(t, target, operator);
    head.write(signed(operator, { method: 'HEAD', fields: [['Connection', 'close']] }));
    t.match(await head.until(() => false), /^HTTP\/1.1 200 .*\r\n\r\n$/s, 'HEAD has no body');
    t.equal(target.app.requests.length, 0, 'nothing of it went to the app');
    const { observations } = JSON.parse(
      (await exchange(t, target.admin, 'GET /observed HTTP/1.1\r\nHost: localhost\r\n\r\n')).body.toString(),
    );
    t.same(observations, [], 'reads are no calls');
  });

  t.test(`to the ${phase} binary these are ordinary paths for everyone else`, async (t) => {
    const { target, operator, other } = await start(t, phase);
    const path = '/.well-known/countersign/status';
    const attacks: Readonly<Record<string, () => Promise<RawResponse>>> = {
      'without a signature, in the clear': () =>
        exchange(t, target.inbound, `GET ${path} HTTP/1.1\r\nHost: npu-worker\r\n\r\n`),
      'rightly signed, in the clear': () => exchange(t, target.inbound, signed(operator)),
      'a peer that is no operator': () => ask(t, target, other, signed(other)),
      'no operator, with the signature of one': () => ask(t, target, other, signed(operator)),
      'an operator, with the signature of another caller': () => ask(t, target, operator, signed(other)),
      'an operator, without a signature': () =>
        ask(t, target, operator, Buffer.from(`GET ${path} HTTP/1.1\r\nHost: npu-worker\r\n\r\n`)),
      'a signature that is too old': () =>
        ask(t, target, operator, signed(operator, { created: Math.floor(Date.now() / 1000) - 400 })),
      'a wrong key': () => ask(t, target, operator, signed({ ...operator, key: other.key })),
      'signed for another service': () => ask(t, target, operator, signed(operator, { host: 'ai-stack' })),
      POST: () => ask(t, target, operator, signed(operator, { method: 'POST' })),
      'GET with a body': () => ask(t, target, operator, signed(operator, { body: 'x' })),
      ...Object.fromEntries(
        [
          '/.well-known/countersign/%73tatus',
          '/.well-known/countersign/status%00',
          '/%2ewell-known/countersign/status',
          '/.well-known%2fcountersign/status',
          '/.well-known//countersign/status',
          '//.well-known/countersign/status',
          '/.well-known/countersign/status/',
          '/.well-known/countersign/status?',
          '/.well-known/countersign/status?x=1',
          '/.well-known/countersign/status;x',
          '/.well-known/countersign/./status',
          '/.well-known/countersign/x/../status',
          '/.well-known/Countersign/status',
          '/.well-known/countersign/keys',
          '/.well-known/countersign/',
        ].map((target_) => [target_, () => ask(t, target, operator, signed(operator, { target: target_ }))]),
      ),
      ...Object.fromEntries(
        (
          [
            ['X-HTTP-Method-Override', 'POST'],
            ['X-HTTP-Method', 'GET'],
            ['X-Original-URL', '/api/process'],
            ['X-Rewrite-URL', '/.well-known/countersign/status'],
          ] as const
        ).map((field) => [
          field.join(': '),
          () => ask(t, target, operator, signed(operator, { fields: [field] })),
        ]),
      ),
      'an override on another path': () =>
        ask(
          t,
          target,
          operator,
          signed(operator, {
            target: '/api/status/7',
            fields: [['X-Original-URL', '/.well-known/countersign/status']],
          }),
        ),
    };
    for (const [name, attack] of Object.entries(attacks)) {
      const { status, body } = await attack();
      t.notMatch(body.toString(), /"uptime_seconds"/, name);
      if (phase === 'enforcing') t.ok(status >= 400, `${name}: ${status}`);
    }
    const shown = signed(operator);
    t.equal((await ask(t, target, operator, shown)).status, 200);
    const replayed = await ask(t, target, operator, shown);
    t.notMatch(replayed.body.toString(), /"uptime_seconds"/, 'a replay');
    if (phase === 'enforcing') t.equal(replayed.reason, 'replayed');
  });
}

t.test(
  'an operator sees calls of every worker as they end, and the stream ends with the sidecar',
  async (t) => {
    const { target, operator } = await start(t, 'enforcing', 'workers: 2\n');
    const client = await sealed(t, target, operator);
    client.write(signed(operator, { target: '/.well-known/countersign/events' }));
    await client.until((text) => text.includes('retry: 2000'));
    // Each on a connection of its own: the kernel spreads them over both workers.
    await Promise.all(Array.from({ length: 40 }, () => exchange(t, target.inbound, target.signed({}).bytes)));
    await exchange(t, target.inbound, target.signed({ method: 'DELETE' }).bytes);
    const text = await client.until(
      (received) => received.includes('event: denial') && received.split('event: call\n').length > 40,
    );
    t.equal(text.split('event: call\n').length - 1, 40);
    t.match(text, /"reason":"not-authorized"/);
    t.equal(await target.sidecar.stop(), 0);
    await client.until(() => false);
    t.ok(client.closed);
  },
);
