import t from 'tap';
import { ok, onHead, rawApp } from '../../support/raw-app.ts';
import { exchange, RawClient } from '../../support/raw-http.ts';
import { startTarget } from './target.ts';
import { hostile, startTwoCallees } from './two-callees.ts';

const fleet = 'covered_fields: [x-user-id, x-tenant]\n';
const always = ['@method', '@authority', '@path', '@query', 'x-service-id'];

t.test('a field of covered_fields can be neither added nor changed', async (t) => {
  const { app, inbound, signed } = await startTarget(t, 'enforcing', '', undefined, fleet);
  const fields = [['X-User-ID', 'alice']] as const;
  const called = async (bytes: Buffer, from = '', to = '') =>
    exchange(t, inbound, Buffer.from(bytes.toString('latin1').replace(from, to), 'latin1'));
  t.equal((await called(signed().bytes)).status, 200, 'without the field');
  const covered = [...always, 'x-user-id'];
  t.equal((await called(signed({ fields, covered }).bytes)).status, 200);
  t.match(app.requests.at(-1)?.head, /\r\nX-User-ID: alice\r\n/);
  const before = app.requests.length;
  for (const [response, reason] of [
    [await called(signed({ fields, covered: always }).bytes), 'insufficient-coverage'],
    [await called(signed().bytes, 'Host:', 'X-User-ID: alice\r\nHost:'), 'insufficient-coverage'],
    [await called(signed().bytes, 'Host:', 'x-tenant: 1\r\nHost:'), 'insufficient-coverage'],
    [await called(signed({ fields, covered }).bytes, 'alice', 'bob'), 'signature-mismatch'],
    [
      await called(signed({ fields, covered }).bytes, 'Host:', 'X-USER-ID: bob\r\nHost:'),
      'signature-mismatch',
    ],
    [await called(signed({ fields, covered }).bytes, 'X-User-ID: alice\r\n', ''), 'signature-mismatch'],
    [
      await called(signed({ fields, covered }).bytes, 'Host:', 'Connection: x-user-id\r\nHost:'),
      'malformed-request',
    ],
  ] as const)
    t.equal(response.reason, reason);
  t.equal(app.requests.length, before, 'the app received nothing');
  for (const name of ['X_User_ID', 'X.User-ID', 'x~tenant', 'X!TENANT']) {
    t.equal((await called(signed().bytes, 'Host:', `${name}: forged\r\nHost:`)).status, 200, name);
  }
  t.notMatch(app.bytes, /forged/, 'what only folds to one of them is removed');
});

t.test('outbound covers them, and removes what only folds to one of them', async (t) => {
  const app = await rawApp(t, (socket) => onHead(socket, (head) => socket.write(ok(head))));
  const { outbound } = await startTwoCallees(t, { hostile: app, honest: app }, 'app', fleet);
  const call = async (lines: string) => {
    const client = await RawClient.connect(t, outbound);
    client.write(`GET / HTTP/1.1\r\nHost: ${hostile}\r\n${lines}\r\n`);
    return client.response();
  };
  for (const lines of ['', 'X-User-ID: alice\r\n', 'x-tenant: 7\r\nX-User-ID: alice\r\nx-user-id: bob\r\n']) {
    const { status, body } = await call(`${lines}X_User_ID: forged\r\nX.Tenant: forged\r\n`);
    t.equal(status, 200);
    for (const line of lines.split('\r\n')) t.ok(body.includes(line), line);
    t.notMatch(body, /forged/);
  }
  const { status, reason } = await call('X-User-ID: alice\r\nConnection: close, X-User-ID\r\n');
  t.strictSame([status, reason], [400, 'malformed-request']);
});
