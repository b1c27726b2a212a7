import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import * as tls from 'node:tls';
import t, { type Test } from 'tap';
import { dialled, failureOf, kid, listen, OpenSsl, psk, ServerEnd } from '../../support/sealed-hop.ts';
import { freePorts } from '../../support/sidecar-process.ts';
import { tempFolder } from '../../support/temp-folder.ts';

const key = { kid, psk };
const identity = `countersign/1 ${kid}`;
const hex = psk.toString('hex');
const request = 'GET / HTTP/1.1\r\nHost: npu-worker\r\n\r\n';

function client(port: number, ...further: string[]): string[] {
  return ['s_client', '-connect', `127.0.0.1:${port}`, '-psk_identity', identity, '-psk', hex, ...further];
}

t.test('serves openssl s_client, and knows who it is', async (t) => {
  const server = await ServerEnd.start(t);
  const openssl = new OpenSsl(t, client(server.port, '-alpn', 'http/1.1', '-ign_eof'));
  openssl.child.stdin.write(request);
  await openssl.until((text) => text.includes('\r\n\r\nok'));
  t.match(
    openssl.out,
    /New, TLSv1\.3, Cipher is TLS_AES_128_GCM_SHA256|Reused, TLSv1\.3, Cipher is TLS_AES_128_GCM_SHA256/,
  );
  t.match(
    openssl.out,
    /Server Temp Key: X25519/,
    'a key exchange: what is recorded stays secret if the key is lost',
  );
  t.match(openssl.out, /no peer certificate available/);
  t.strictSame(server.handshakes, [{ result: 'proven', peer: { caller: 'main-backend', kid } }]);
  t.equal(server.served[0]?.text, request);
});

t.test('closes on whoever does not prove a key', async (t) => {
  const server = await ServerEnd.start(t);
  const { port } = server;
  const wrong = ['-psk', '00'.repeat(32), '-alpn', 'http/1.1'];
  const unknown = ['-psk_identity', 'countersign/1 nobody/1', '-alpn', 'http/1.1'];
  const foreign = ['-psk_identity', kid, '-alpn', 'http/1.1'];
  const cases: [string, string[], string][] = [
    ['another key', wrong, 'other-key'],
    ['an unknown key id', unknown, 'no-key'],
    ['a foreign identity', foreign, 'no-key'],
    ['no ALPN', [], 'incompatible'],
    ['another ALPN', ['-alpn', 'h2'], 'incompatible'],
    ['TLS 1.2', ['-alpn', 'http/1.1', '-tls1_2'], 'incompatible'],
    ['another suite', ['-alpn', 'http/1.1', '-ciphersuites', 'TLS_AES_256_GCM_SHA384'], 'incompatible'],
    ['another group', ['-alpn', 'http/1.1', '-groups', 'P-256'], 'incompatible'],
  ];
  const alerts = new Map<string, string | undefined>();
  for (const [name, args, result] of cases) {
    const before = server.ended;
    const openssl = new OpenSsl(t, client(port, ...args));
    openssl.child.stdin.write(request);
    await openssl.until(() => false);
    await server.until(() => server.ended > before);
    t.equal(server.handshakes.at(-1)?.result, result, name);
    alerts.set(name, /alert [a-z ]+/.exec(openssl.err)?.[0]);
  }
  t.equal(alerts.get('an unknown key id'), alerts.get('another key'), 'which key ids there are is not told');
  t.ok(alerts.get('another key'));
  t.equal(server.served.length, 0, 'nothing of all that was served');
});

t.test('no ticket resumes, and no early data is taken', async (t) => {
  const folder = await tempFolder(t);
  const session = join(folder, 'session.pem');
  const server = await ServerEnd.start(t);
  const first = new OpenSsl(t, client(server.port, '-alpn', 'http/1.1', '-ign_eof', '-sess_out', session));
  first.child.stdin.write(request);
  await first.until((text) => text.includes('\r\n\r\nok'));
  t.notMatch(first.out, /Max Early Data: [1-9]/);
  first.child.kill();
  await first.closed;
  const before = server.ended;
  const second = new OpenSsl(t, [
    ...['s_client', '-connect', `127.0.0.1:${server.port}`, '-alpn', 'http/1.1', '-sess_in', session],
  ]);
  second.child.stdin.write(request);
  await second.until(() => false);
  await server.until(() => server.ended > before);
  t.not(server.handshakes.at(-1)?.result, 'proven');
  t.equal(server.served.length, 1, 'only the connection that proved the key itself was served');
});

t.test('calls openssl s_server', async (t) => {
  const [port] = (await freePorts(1)) as [number];
  const args = ['s_server', '-accept', `127.0.0.1:${port}`, '-psk_identity', identity, '-psk', hex];
  const openssl = new OpenSsl(t, [...args, '-nocert', '-tls1_3', '-alpn', 'http/1.1']);
  await openssl.until((text) => text.includes('ACCEPT'));
  const call = dialled(t, port, key, request);
  await openssl.until((text) => text.includes('Host: npu-worker'));
  openssl.child.stdin.write('HTTP/1.1 204 No Content\r\n\r\n');
  await call.until((text) => text.includes('204'));
  t.match(call.text, /^HTTP\/1\.1 204/);
  t.match(
    openssl.out,
    /Shared groups: X25519|Shared Elliptic groups: X25519|CIPHER is TLS_AES_128_GCM_SHA256/,
  );
});

t.test('sends nothing to a peer that does not prove the key', async (t) => {
  const folder = await tempFolder(t);
  const [certificate, secret] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  execFileSync(
    'openssl',
    [
      'req',
      '-x509',
      '-newkey',
      'ec',
      '-pkeyopt',
      'ec_paramgen_curve:prime256v1',
      '-nodes',
      '-days',
      '2',
    ].concat(['-subj', '/CN=npu-worker', '-keyout', secret, '-out', certificate]),
    { stdio: 'ignore' },
  );
  const files = { key: readFileSync(secret), cert: readFileSync(certificate) };
  let received = '';
  const keep = (piece: Buffer) => {
    received += piece.toString('latin1');
  };
  const withCertificate = (options: tls.TlsOptions) =>
    tls.createServer({ ...files, ...options }, (socket) => socket.on('error', () => {}).on('data', keep));
  const sealed = await ServerEnd.start(t);

  const cases: [string, number, typeof key, string][] = [
    ['another key', sealed.port, { kid, psk: Buffer.alloc(32) }, 'other-key'],
    ['a key id that it does not have', sealed.port, { kid: 'main-backend/4', psk }, 'other-key'],
    ['a certificate', await listen(t, withCertificate({ ALPNProtocols: ['http/1.1'] })), key, 'certificate'],
    ['TLS 1.2', await listen(t, withCertificate({ maxVersion: 'TLSv1.2' })), key, 'incompatible'],
    [
      'a key, but no ALPN',
      await listen(
        t,
        tls.createServer({ pskCallback: () => psk, ciphers: 'TLS_AES_128_GCM_SHA256' }, (socket) =>
          socket.on('error', () => {}).on('data', keep),
        ),
      ),
      key,
      'incompatible',
    ],
    [
      'plain HTTP',
      await listen(
        t,
        createServer((socket) => {
          socket.on('error', () => {}).once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'));
        }),
      ),
      key,
      'no-tls',
    ],
    [
      'a connection that closes at once',
      await listen(
        t,
        createServer((socket) => socket.destroy()),
      ),
      key,
      'closed',
    ],
    [
      'a connection that ends at the ClientHello',
      await listen(
        t,
        createServer((socket) => void socket.on('error', () => {}).once('data', () => socket.end())),
      ),
      key,
      'closed',
    ],
  ];
  for (const [name, port, with_, failure] of cases) {
    const call = dialled(t, port, with_, request);
    t.equal(await failureOf(call), failure, name);
    t.notOk(call.proven, `${name}: it is not taken for proven`);
  }
  t.equal(received, '', 'and not a byte of the call was sent');
  t.equal(sealed.served.length, 0);
  const [closed] = (await freePorts(1)) as [number];
  const refused = (await dialled(t, closed, key).closed) as NodeJS.ErrnoException;
  t.equal(refused.code, 'ECONNREFUSED', 'a host that cannot be reached at all is another matter');
});

t.test('a changed byte ends the connection on both sides', async (t) => {
  const server = await ServerEnd.start(t);
  for (const towards of ['server', 'client'] as const) {
    let isProven = false;
    const relay = createServer((caller) => {
      const other = connect(server.port, '127.0.0.1');
      const flip = (piece: Buffer, here: boolean) => {
        if (isProven && here) piece[piece.length - 1]! ^= 1;
        return piece;
      };
      caller.on('data', (piece: Buffer) => other.write(flip(piece, towards === 'server')));
      other.on('data', (piece: Buffer) => caller.write(flip(piece, towards === 'client')));
      for (const [one, two] of [
        [caller, other],
        [other, caller],
      ] as const)
        one.on('error', () => {}).on('close', () => two.destroy());
    });
    const served = server.served.length;
    const call = dialled(t, await listen(t, relay), key, request);
    await call.until((text) => text.includes('\r\n\r\nok'));
    t.equal(server.served.length, served + 1);
    isProven = true;
    call.text = '';
    call.socket.write(request, 'latin1');
    await call.closed;
    t.equal(call.text, '', `towards the ${towards}: nothing changed arrives`);
    t.equal(server.served.at(-1)?.text, towards === 'server' ? request : request + request);
  }
});

t.test('tells plain HTTP from TLS by the first byte, and closes at any other', async (t) => {
  const server = await ServerEnd.start(t);
  const plain = tlsFree(t, server.port, request);
  await server.until(() => server.served.length === 1);
  t.strictSame([server.served[0]?.peer, server.served[0]?.text], [undefined, request]);
  t.match(await plain.first, /^HTTP\/1\.1 200/);
  for (const byte of ['\x00', '\x17', '\x80', '{', '"', '(']) {
    const before = server.ended;
    const answer = await tlsFree(t, server.port, byte).all;
    await server.until(() => server.ended > before);
    t.equal(answer, '', `0x${byte.charCodeAt(0).toString(16)}`);
  }
  t.equal(server.served.length, 1);
});

t.test('a handshake that does not end is ended', async (t) => {
  const server = await ServerEnd.start(t, 200);
  const stuck = tlsFree(t, server.port, '\x16\x03\x01\x02\x00\x01');
  t.equal(await stuck.all, '');
  await server.until(() => server.ended === 1);
  t.strictSame(server.handshakes, [{ result: 'timed-out', peer: undefined }]);
});

t.test('a connection that is reset is seen as one', async (t) => {
  const server = await ServerEnd.start(t);
  const call = dialled(t, server.port, key, request);
  await call.until((text) => text.includes('ok'));
  server.served[0]?.socket.resetAndDestroy();
  t.equal(((await call.closed) as NodeJS.ErrnoException | undefined)?.code, 'ECONNRESET');
});

t.test('counts records in both directions', async (t) => {
  const server = await ServerEnd.start(t);
  const call = dialled(t, server.port, key, request);
  await call.until((text) => text.includes('ok'));
  const socket = call.socket as unknown as { recordsRead: number; recordsWritten: number };
  t.strictSame([socket.recordsRead, socket.recordsWritten], [1, 1]);
  call.socket.write(Buffer.alloc(100_000));
  t.equal(socket.recordsWritten, 8, '100,000 bytes need seven records');
});

/** A connection without TLS that sends these bytes. */
function tlsFree(t: Test, port: number, bytes: string): { first: Promise<string>; all: Promise<string> } {
  const socket = connect(port, '127.0.0.1', () => socket.write(bytes, 'latin1'));
  let text = '';
  t.teardown(() => socket.destroy());
  const first = new Promise<string>((resolve) =>
    socket.once('data', (piece) => resolve(piece.toString('latin1'))),
  );
  socket.on('data', (piece) => {
    text += piece.toString('latin1');
  });
  socket.on('error', () => {});
  return { first, all: new Promise((resolve) => socket.once('close', () => resolve(text))) };
}
