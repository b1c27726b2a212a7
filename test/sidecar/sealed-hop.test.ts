import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { readFile, rename, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import type { Socket } from 'node:net';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import t, { type Test } from 'tap';
import { readFrom } from '../../sidecar/fleet-reader/from.ts';
import type { KeyringFile } from '../../sidecar/keyring/keyring-file.ts';
import { ok, onHead, rawApp } from '../support/raw-app.ts';
import { exchange, RawClient } from '../support/raw-http.ts';
import { sealedApp } from '../support/sealed-app.ts';
import { freePorts, type Phase, startSidecar, writeFleet } from '../support/sidecar-process.ts';
import { relayHost, tamperingRelay } from '../support/tampering-relay.ts';
import { tempFolder } from '../support/temp-folder.ts';

const matrix = 'services:\n  npu-worker:\n    callers:\n      main-backend: [ "* /**" ]\n';
const get = 'GET /secret/path HTTP/1.1\r\nHost: npu-worker\r\n\r\n';
const post = (body: string) =>
  `POST /secret/path HTTP/1.1\r\nHost: npu-worker\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

/** Main-backend's sidecar; the test plays its callee. */
async function callerOf(t: Test, phase: Phase, callee: number, change?: (keyring: string) => string) {
  const folder = await tempFolder(t);
  const [outbound, inbound, admin] = (await freePorts(3)) as [number, number, number];
  await writeFleet(
    folder,
    { 'npu-worker': { inbound: callee, app: 1 }, 'main-backend': { inbound, app: 2 } },
    matrix,
  );
  const file = join(folder, 'main-backend/keyring.json');
  if (change !== undefined) await writeFile(file, change(await readFile(file, 'utf8')), { mode: 0o600 });
  await startSidecar(t, {
    phase,
    folder: join(folder, 'main-backend'),
    service: 'main-backend',
    ports: { outbound, inbound, admin },
    app: 2,
    further: 'timeouts: { connect: 500ms, response: 5s, drain: 5s }',
  });
  return { outbound, admin: `http://127.0.0.1:${admin}`, folder };
}

/** Serves whoever speaks plain HTTP, and does to TLS what it is told. */
async function withoutSeal(t: Test, onTls: (socket: Socket) => void) {
  const seen = { tls: 0, heads: [] as string[] };
  const port = await rawApp(t, (socket) => {
    socket.once('data', (piece: Buffer) => {
      if (piece[0] === 0x16) {
        seen.tls++;
        onTls(socket);
        return;
      }
      onHead(socket, (head) => {
        seen.heads.push(head);
        socket.write(ok());
      });
      socket.emit('data', piece);
    });
  });
  return { port, seen };
}

const cases: readonly [string, (socket: Socket) => void, string][] = [
  ['no TLS there', (socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'), 'no-tls'],
  ['a connection that closes', (socket) => void socket.destroy(), 'closed'],
  // As a sidecar of version 0.1, which waits for the end of a head.
  ['a connection that hangs', () => {}, 'timed-out'],
];

for (const [name, onTls, failure] of cases) {
  t.test(`${name}: enforcing sends nothing in the clear`, async (t) => {
    const { port, seen } = await withoutSeal(t, onTls);
    const { outbound, admin } = await callerOf(t, 'enforcing', port);
    for (const call of [get, post('secret body')]) {
      const answer = await exchange(t, outbound, call);
      t.match(answer, { status: 502, reason: 'peer-unproven' });
    }
    t.strictSame(seen.heads, []);
    const [state] = await readFrom([admin]);
    t.match(state?.observed?.hops, [
      { direction: 'outbound', peer: 'npu-worker', failure, unproven: { count: 2 } },
    ]);
    t.notOk(state?.observed?.hops[0]?.plain);
    t.match(state?.status?.hops, [{ handshakes: { [failure]: Number } }]);
  });

  t.test(`${name}: logging delivers it in the clear, and remembers`, async (t) => {
    const { port, seen } = await withoutSeal(t, onTls);
    const { outbound, admin } = await callerOf(t, 'logging', port);
    t.equal((await exchange(t, outbound, post('secret body'))).status, 200);
    const since = performance.now();
    for (let i = 0; i < 5; i++) t.equal((await exchange(t, outbound, get)).status, 200);
    t.ok(performance.now() - since < 5 * 450, 'no call waits for another handshake');
    t.equal(seen.heads.length, 6);
    t.match(seen.heads[0], /"content-digest"/, 'signed for a plain connection, with its digest');
    const [state] = await readFrom([admin]);
    t.match(state?.observed?.hops, [{ plain: { count: 6 }, unproven: { count: 6 }, failure }]);
    t.match(state?.denials?.denials[0], {
      reason: 'peer-unproven',
      disposition: 'forwarded',
      explanation: /was sent in the clear, and would be refused by the enforcing binary/,
    });
  });
}

for (const [what, afterHandshake, expected, connections] of [
  ['closes', (socket: Socket) => void socket.destroy(), { status: 502, reason: 'upstream-failed' }, 2],
  ['hangs', () => {}, { status: 504, reason: 'upstream-timeout' }, 1],
] as const)
  for (const phase of ['enforcing', 'logging'] as const)
    t.test(
      `a proven host that ${what} right after the handshake is an upstream that fails: ${phase}`,
      async (t) => {
        let folder = '';
        let accepted = 0;
        const port = await sealedApp(
          t,
          () => join(folder, 'main-backend/keyring.json'),
          (socket) => {
            accepted++;
            afterHandshake(socket);
          },
        );
        const caller = await callerOf(t, phase, port);
        folder = caller.folder;
        t.match(await exchange(t, caller.outbound, post('secret body')), expected);
        t.equal(
          accepted,
          connections,
          'an unanswered call is sent once more, sealed and with the same signature',
        );
        const [state] = await readFrom([caller.admin]);
        t.match(state?.status?.hops, [{ handshakes: { proven: connections } }]);
        t.notOk(state?.observed?.hops[0]?.plain, 'it may have been carried out: nothing goes in the clear');
        t.notOk(state?.observed?.hops[0]?.unproven, 'the host has proven the pair key');
      },
    );

t.test('a host that proves itself later is found out by a connection of its own', async (t) => {
  const relayed = await relayedPair(t, 'logging', 'logging');
  relayed.relay.refusesTls = true;
  t.equal((await exchange(t, relayed.outbound, get)).status, 200);
  t.match(relayed.relay.recorded, '/secret/path');
  relayed.relay.refusesTls = false;
  const until = Date.now() + 20_000;
  const sealed = async () => {
    const [state] = await readFrom([relayed.admin.caller]);
    return (state?.status?.hops ?? []).some((hop) => hop.direction === 'outbound' && hop.sealed > 0);
  };
  while (!(await sealed()) && Date.now() < until) await new Promise((resolve) => setTimeout(resolve, 100));
  relayed.relay.recorded = '';
  t.equal((await exchange(t, relayed.outbound, get)).status, 200);
  t.notMatch(relayed.relay.recorded, '/secret/path');
  const states = await readFrom([relayed.admin.caller, relayed.admin.callee]);
  for (const { observed } of states)
    t.match(observed?.hops, [{ sealed: { count: 1 }, plain: { count: 1 } }], 'both ends tell both calls');
});

t.test('a certificate, another key, and no key of ours', async (t) => {
  const folder = await tempFolder(t);
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const args = [
    'req',
    '-x509',
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-days',
    '2',
  ];
  execFileSync('openssl', [...args, '-subj', '/CN=npu-worker', '-keyout', key, '-out', cert], {
    stdio: 'ignore',
  });
  let received = '';
  const server = createTlsServer(
    { cert: readFileSync(cert), key: readFileSync(key), ALPNProtocols: ['http/1.1'] },
    (socket) => socket.on('error', () => {}).on('data', (piece) => (received += piece.toString('latin1'))),
  );
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as { port: number };
  const refused = async (change?: (keyring: string) => string) => {
    const { outbound, admin } = await callerOf(t, 'enforcing', port, change);
    t.match(await exchange(t, outbound, post('secret')), { status: 502, reason: 'peer-unproven' });
    return (await readFrom([admin], ['denials']))[0]?.denials?.denials[0]?.received;
  };
  t.equal(await refused(), 'certificate');
  t.equal(await refused((text) => JSON.stringify({ ...JSON.parse(text), outbound: {} })), 'no-key');
  t.equal(received, '');
});

/** Two sidecars with a relay between them, in front of an app that answers with a body, events or a WebSocket. */
async function relayedPair(t: Test, caller: Phase, callee: Phase) {
  const folder = await tempFolder(t);
  const [outbound, ownInbound, adminA, inbound, otherOut, adminB] = (await freePorts(6)) as [
    ...[number, number, number, number, number, number],
  ];
  const app = createHttpServer((incoming, response) => {
    incoming.setEncoding('latin1');
    let body = '';
    incoming.on('data', (piece) => (body += piece));
    incoming.on('end', () => {
      if (incoming.url === '/long' || incoming.url === '/held') {
        response.writeHead(200, { 'Content-Length': 1_000_000 });
        response.write('secret'.padEnd(500_000, 'x'));
        if (incoming.url === '/long') setTimeout(() => response.end('y'.repeat(500_000)), 200);
      } else response.end(`secret answer to ${body}`);
    });
    incoming.on('error', () => {});
  });
  /** What the app got on its WebSockets. */
  const upgraded: string[] = [];
  app.on('upgrade', (_, socket) => {
    const index = upgraded.push('') - 1;
    socket.on('data', (piece) => (upgraded[index] += piece.toString('hex')));
    socket.on('error', () => {}).on('end', () => socket.end());
    socket.write('HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n');
  });
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  t.teardown(() => app.close().closeAllConnections());
  const appPort = (app.address() as { port: number }).port;
  await writeFleet(
    folder,
    {
      'npu-worker': { host: relayHost, inbound, app: appPort },
      'main-backend': { inbound: ownInbound, app: 2 },
    },
    matrix,
  );
  const relay = await tamperingRelay(t, inbound);
  const further = 'timeouts: { connect: 2s, response: 5s, drain: 5s }';
  const start = (service: string, phase: Phase, out: number, into: number, admin: number, to: number) =>
    startSidecar(t, {
      ...{ phase, service, further, app: to, folder: join(folder, service) },
      ports: { outbound: out, inbound: into, admin },
    });
  const backend = await start('main-backend', caller, outbound, ownInbound, adminA, 2);
  const worker = await start('npu-worker', callee, otherOut, inbound, adminB, appPort);
  const admin = { caller: `http://127.0.0.1:${adminA}`, callee: `http://127.0.0.1:${adminB}` };
  return { relay, outbound, inbound, folder, backend, worker, admin, upgraded };
}

t.test('a relay between two sidecars reads, changes and cuts nothing unnoticed', async (t) => {
  const { relay, outbound } = await relayedPair(t, 'enforcing', 'enforcing');
  t.equal((await exchange(t, outbound, post('secret body'))).body, 'secret answer to secret body');
  t.ok(relay.recorded.length > 500);
  t.notMatch(relay.recorded, /secret|npu-worker|Signature/, 'nothing is readable');
  t.match(relay.recorded, 'countersign/1 main-backend/1', 'but which pair it is');

  for (const towards of ['callee', 'caller'] as const) {
    relay.alter = (piece, to) => {
      if (to === towards) piece[piece.length - 1]! ^= 1;
      return piece;
    };
    const altered = await exchange(t, outbound, post('secret body'));
    t.equal(altered.status, 502, `a bit that flips towards the ${towards}`);
    t.notMatch(altered.body, 'secret answer');
    relay.alter = (piece) => piece;
    // What is left of the changed connections goes first.
    while ((await exchange(t, outbound, get)).status !== 200)
      await new Promise((resolve) => setTimeout(resolve, 50));
  }

  let passed = 0;
  relay.alter = (piece, to) => {
    if (to === 'caller') passed += piece.length;
    return passed > 300_000 ? 'cut' : piece;
  };
  const client = await RawClient.connect(t, outbound);
  client.write('GET /long HTTP/1.1\r\nHost: npu-worker\r\n\r\n');
  const text = await client.end();
  t.match(text, /^HTTP\/1\.1 200/);
  t.ok(text.length < 1_000_000, 'what was cut ends before its length: it does not look complete');
});

t.test('a recorded connection can’t be played again', async (t) => {
  const { relay, outbound, inbound } = await relayedPair(t, 'enforcing', 'enforcing');
  let sent = Buffer.alloc(0);
  relay.alter = (piece, to) => {
    if (to === 'callee') sent = Buffer.concat([sent, piece]);
    return piece;
  };
  t.equal((await exchange(t, outbound, post('once'))).status, 200);
  const replay = await RawClient.connect(t, inbound, '127.0.0.1');
  replay.write(sent);
  t.notMatch(await replay.end(), /secret|HTTP/);
});

/** Changes a service's keyring as a delivery does. */
async function changeKeyring(
  folder: string,
  service: string,
  change: (keyring: KeyringFile) => void,
): Promise<void> {
  const file = join(folder, service, 'keyring.json');
  const keyring = JSON.parse(await readFile(file, 'utf8')) as KeyringFile;
  change(keyring);
  await writeFile(`${file}.new`, JSON.stringify(keyring), { mode: 0o600 });
  await rename(`${file}.new`, file);
}

t.test('a rotation breaks no call, and the old key ends its tunnels with 1001', async (t) => {
  const { outbound, folder, backend, worker, admin, upgraded } = await relayedPair(
    t,
    'enforcing',
    'enforcing',
  );
  const tunnel = await RawClient.connect(t, outbound);
  tunnel.write(
    'GET /ws HTTP/1.1\r\nHost: npu-worker\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  );
  await tunnel.until((text) => text.includes('\r\n\r\n'));
  const held = await RawClient.connect(t, outbound);
  held.write('GET /long HTTP/1.1\r\nHost: npu-worker\r\nConnection: close\r\n\r\n');
  await held.until((text) => text.includes('secret'));

  const next = Buffer.alloc(32, 9).toString('base64');
  const endsMs = Date.now() + 3_000;
  await changeKeyring(folder, 'npu-worker', ({ inbound }) => {
    const [old] = inbound['main-backend'] as [KeyringFile['inbound'][string][number]];
    old.not_after = new Date(endsMs).toISOString();
    inbound['main-backend']?.unshift({ kid: 'main-backend/2', key: next });
  });
  await worker.said('new keyring in force');
  await changeKeyring(folder, 'main-backend', ({ outbound }) => {
    outbound['npu-worker'] = { kid: 'main-backend/2', keys: { [relayHost]: next } };
  });
  await backend.said('new keyring in force');
  t.equal((await exchange(t, outbound, post('new key'))).body, 'secret answer to new key');
  t.ok((await held.end()).length > 1_000_000, 'the call that was under way is complete');

  await tunnel.until((text) => text.endsWith('\x88\x02\x03\xe9'));
  t.ok(tunnel.text.endsWith('\x88\x02\x03\xe9'), 'the caller gets 1001');
  t.ok(Date.now() >= endsMs, 'when the key ends, and not before');
  await tunnel.end();
  t.equal(upgraded[0], '88820000000003e9', 'and so does the app');
  t.equal((await exchange(t, outbound, get)).status, 200);
  const [state] = await readFrom([admin.caller]);
  t.strictSame(
    Object.keys(state?.observed?.hops[0] ?? {}).sort(),
    ['direction', 'host', 'peer', 'sealed'],
    'all sealed',
  );
});

t.test('a connection ends with the key that proved it', async (t) => {
  const { outbound, folder, worker, admin } = await relayedPair(t, 'enforcing', 'enforcing');
  t.equal((await exchange(t, outbound, get)).status, 200);
  const held = await RawClient.connect(t, outbound);
  held.write('GET /held HTTP/1.1\r\nHost: npu-worker\r\n\r\n');
  await held.until((text) => text.includes('secret'));
  await changeKeyring(folder, 'npu-worker', ({ inbound }) => {
    delete inbound['main-backend'];
  });
  await worker.said('new keyring in force');
  t.ok((await held.end()).length < 1_000_000, 'revoke ends it at once');
  t.match(await exchange(t, outbound, get), { status: 502, reason: 'peer-unproven' });
  const [state] = await readFrom([admin.callee], ['status']);
  t.match(
    state?.status?.hops.find(({ direction, peer }) => direction === 'inbound' && peer === 'unknown'),
    { handshakes: { 'no-key': Number } },
  );
});
