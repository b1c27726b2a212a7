import { spawnSync } from 'node:child_process';
import t, { type Test } from 'tap';
import { ok, onHead, rawApp } from '../../support/raw-app.ts';
import { RawClient } from '../../support/raw-http.ts';
import { stockClients } from '../../support/stock-clients.ts';
import { honest, hostile, startTwoCallees } from './two-callees.ts';

/** How long the attacker lets a client take what came first for the whole answer, and send its next call. */
const attackDelayMs = 150;

const lengthZero = 'Content-Length: 0\r\n\r\n';
/** What a hostile callee sends before its normal answer, and the status that the caller's client must see in the end. */
const poisons: readonly (readonly [string, 200 | 502])[] = [
  ...['000', '001', '099'].map((status) => [`HTTP/1.1 ${status} Foo\r\n${lengthZero}`, 502] as const),
  ...['100', '102', '103', '104', '150', '199'].map(
    (status) => [`HTTP/1.1 ${status} Foo\r\n${lengthZero}`, 200] as const,
  ),
  ['HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(3), 200],
  ['HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n', 200],
  ['HTTP/1.0 100 Continue\r\nConnection: keep-alive\r\n\r\n', 200],
  ['HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n', 200],
  ['HTTP/1.1 103 Early Hints\r\nContent-Length: 5\r\n\r\nhello', 502],
  ['HTTP/1.1 103 Early Hints\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n', 502],
  ['HTTP/1.1 100 Continue\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n', 502],
  [`HTTP/1.1 101 Switching Protocols\r\n${lengthZero}`, 502],
  ['HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n', 502],
  ...['600', '700', '999'].map((status) => [`HTTP/1.1 ${status} Foo\r\n${lengthZero}`, 502] as const),
  ...['20 OK', '2000 OK', '0200 OK', ' 200 OK', '2e2 OK', '-20 OK', '20x OK'].map(
    (status) => [`HTTP/1.1 ${status}\r\n${lengthZero}`, 502] as const,
  ),
  ...['O\0K', 'O\x01K', 'O\x0bK', 'O\x1bK', 'O\x7fK', 'O\rK', 'O\nK'].map(
    (phrase) => [`HTTP/1.1 200 ${phrase}\r\n${lengthZero}`, 502] as const,
  ),
];

async function hostileApps(t: Test) {
  const sentFirst = (head: string) => poisons[Number(/^GET \/(\d+) /.exec(head)?.[1])]?.[0] ?? '';
  return {
    hostile: await rawApp(t, (socket) =>
      onHead(socket, (head) => {
        socket.write(sentFirst(head), 'latin1');
        setTimeout(() => socket.write(ok('first')), attackDelayMs);
      }),
    ),
    honest: await rawApp(t, (socket) => onHead(socket, () => socket.write(ok('second')))),
  };
}

for (const at of ['app', 'host'] as const) {
  const where = at === 'app' ? 'the app of one callee' : 'the host of one callee';
  t.test(`${where} can't answer for another callee`, async (t) => {
    const { outbound } = await startTwoCallees(t, await hostileApps(t), at);
    for (const { name, program, make } of stockClients) {
      const atHand = program === undefined || spawnSync(program, ['--version']).status === 0;
      await t.test(name, { skip: !atHand && `no ${program} here` }, async (t) => {
        const pairs = poisons.map(
          (_, i) =>
            [
              { host: hostile, path: `/${i}` },
              { host: honest, path: '/' },
            ] as const,
        );
        const results = await make(outbound, pairs);
        for (const [i, { first, second, reused }] of results.entries()) {
          const [poison, status] = poisons[i] as (typeof poisons)[number];
          const said = JSON.stringify(poison.slice(0, 60));
          t.equal(first.status, status, said);
          if (status === 200) t.equal(first.body, 'first', said);
          else t.match(first.body, /"reason":"upstream-failed"/, said);
          t.strictSame(second, { status: 200, body: 'second' }, `${said}: the other callee's answer`);
          t.equal(reused, true, `${said}: on the same connection`);
        }
      });
    }
  });
}

t.test('100 (Continue) is passed on once, bare, and only to a client that asked', async (t) => {
  const interim =
    `HTTP/1.1 100 Continue\r\nX-Field: 1\r\n${lengthZero}`.repeat(3) + 'HTTP/1.1 103 Early Hints\r\n\r\n';
  const app = await rawApp(t, (socket) => {
    socket.write(interim);
    let received = '';
    socket.on('data', (piece: Buffer) => {
      received += piece.toString('latin1');
      if (received.endsWith('hello')) {
        received = '';
        socket.write(`${interim}HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok`);
      }
    });
  });
  const { outbound } = await startTwoCallees(t, { hostile: app, honest: app });
  for (const asks of [true, false]) {
    const client = await RawClient.connect(t, outbound);
    const expect = asks ? 'Expect: 100-continue\r\n' : '';
    client.write(`POST / HTTP/1.1\r\nHost: ${hostile}\r\n${expect}Content-Length: 5\r\n\r\n`);
    if (asks) await client.until((text) => text.includes('\r\n\r\n'));
    client.write('hello');
    const text = await client.until((text) => text.endsWith('\r\n\r\nok'));
    t.equal(text.startsWith('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n'), asks, text);
    t.equal(text.split('HTTP/1.1 ').length - 1, asks ? 2 : 1, text);
    t.notMatch(text, /X-Field/i);
  }
});

t.test('an upgrade: interim responses before 101, and what it must not carry', async (t) => {
  let answer = '';
  const app = await rawApp(t, (socket) => onHead(socket, () => socket.write(`${answer}tunnelled`)));
  const { outbound } = await startTwoCallees(t, { hostile: app, honest: app });
  const upgrade = `GET / HTTP/1.1\r\nHost: ${hostile}\r\nX-Request-ID: upgrade-1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n`;
  const switched = 'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n';
  for (const before of ['', 'HTTP/1.1 103 Early Hints\r\n\r\n', 'HTTP/1.1 100 Continue\r\n\r\n'.repeat(2)]) {
    answer = `${before}${switched}X-Service-ID: ai-stack\r\n${lengthZero}`;
    const client = await RawClient.connect(t, outbound);
    client.write(upgrade);
    const text = await client.until((text) => text.endsWith('tunnelled'));
    t.match(text, /^HTTP\/1\.1 101 Switching Protocols\r\n/);
    t.match(text, /\r\nX-Request-ID: upgrade-1\r\n/);
    t.notMatch(text, /Content-Length|X-Service-ID/i);
  }
  for (const wrong of [
    'HTTP/1.1 101 Switching Protocols\r\n\r\n',
    'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n',
    switched.replace('1.1', '1.0').concat('\r\n'),
  ]) {
    answer = wrong;
    const client = await RawClient.connect(t, outbound);
    client.write(upgrade);
    const { status, reason } = await client.response();
    t.strictSame([status, reason], [502, 'upstream-failed'], JSON.stringify(wrong));
  }
});

t.test('every answer carries the request id, and none but the sidecars speak as sidecars', async (t) => {
  let answer = '';
  const app = await rawApp(t, (socket) => onHead(socket, () => socket.write(answer)));
  const { outbound, inbound } = await startTwoCallees(t, { hostile: app, honest: app });
  const forged =
    'X-Request-ID: forged\r\nX-Service-ID: ai-stack\r\nX-Service-Refusal: replayed\r\nX-Service-Denial: replayed\r\n' +
    'X-Service-Other: 1\r\nX-Service-Content-Length: 9\r\nX_Request_ID: forged\r\n';
  const heads = async (port: number, request: string) => {
    const client = await RawClient.connect(t, port);
    client.write(request);
    return (await client.response()).head;
  };
  const get = `GET / HTTP/1.1\r\nHost: ${hostile}\r\nX-Request-ID: call-1\r\n\r\n`;
  for (const status of ['200 OK', '204 No Content', '304 Not Modified', '404 Not Found', '503 Full']) {
    const length = status.startsWith('304') ? '\r\n' : lengthZero;
    answer = `HTTP/1.1 ${status}\r\n${forged}${length}`;
    const head = await heads(outbound, get);
    t.match(head, new RegExp(`^HTTP/1\\.1 ${status}\r\n`));
    t.match(head, /\r\nX-Request-ID: call-1$|\r\nX-Request-ID: call-1\r\n/);
    t.notMatch(head, /forged|X-Service/i);
    if (status.startsWith('204')) t.notMatch(head, /Content-Length/i);
  }
  answer = 'HTTP/1.1 099 Foo\r\n\r\n';
  for (const [port, request, status] of [
    [outbound, get, '502'],
    [outbound, get.replace(hostile, 'nobody'), '502'],
    [inbound, get, '401'],
    [inbound, 'GET  / HTTP/1.1\r\n\r\n', '400'],
    [outbound, 'GET / HTTP/1.1\r\n\r\n', '400'],
    [inbound, `TRACE / HTTP/1.1\r\nHost: ${hostile}\r\n\r\n`, '501'],
    [inbound, `GET / HTTP/1.2\r\nHost: ${hostile}\r\n\r\n`, '505'],
    [inbound, `GET / HTTP/1.1\r\nHost: ${hostile}\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`, '431'],
  ] as const) {
    const head = await heads(port, request);
    t.match(head, new RegExp(`^HTTP/1\\.1 ${status} `));
    t.match(head, /\r\nX-Request-ID: [\w.:-]+/);
  }
});

t.test('response trailers say nothing about framing, connection, cookies or identity', async (t) => {
  const dropped = [
    ...[
      'Connection',
      'Keep-Alive',
      'Upgrade',
      'Trailer',
      'TE',
      'Host',
      'Content.Length',
      'Transfer_Encoding',
    ],
    ...[
      'X-Service-ID',
      'X-Service-Refusal',
      'X-Service-Denial',
      'X_Service.ID',
      'x-service-other',
      'X-Request-ID',
    ],
    ...[
      'Set-Cookie',
      'Set_Cookie',
      'Content-Type',
      'Content-Encoding',
      'Location',
      'WWW-Authenticate',
      'X-Hop',
    ],
    ...['Proxy-Connection', 'Proxy-Authenticate', 'HTTP2-Settings', 'Cache-Control'],
  ];
  let trailers = '';
  const app = await rawApp(t, (socket) =>
    onHead(socket, () =>
      socket.write(
        `HTTP/1.1 200 OK\r\nConnection: x-hop\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nServer-Timing: a\r\n${trailers}X-Sum: 3\r\n\r\n`,
      ),
    ),
  );
  for (const at of ['app', 'host'] as const) {
    const { outbound } = await startTwoCallees(t, { hostile: app, honest: app }, at);
    const answer = async () => {
      const client = await RawClient.connect(t, outbound);
      client.write(`GET / HTTP/1.1\r\nHost: ${hostile}\r\n\r\n`);
      return client.until((text) => /\r\n0\r\n.*\r\n\r\n$/s.test(text) || text.includes('"reason"'));
    };
    trailers = dropped.map((name) => `${name}: 1\r\n`).join('');
    const text = await answer();
    t.match(text, /^HTTP\/1\.1 200 OK\r\n/);
    t.equal(text.slice(text.indexOf('\r\n0\r\n')), '\r\n0\r\nserver-timing: a\r\nx-sum: 3\r\n\r\n', at);
    for (const framing of ['Content-Length: 2', 'Transfer-Encoding: chunked', 'Transfer-Encoding: gzip']) {
      trailers = `${framing}\r\n`;
      t.notMatch(await answer(), /\r\n0\r\n/, `${framing} leaves the answer without its end`);
    }
  }
});
