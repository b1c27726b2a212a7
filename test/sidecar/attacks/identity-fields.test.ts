import t from 'tap';
import { fieldNames, foldedName, isIdentityName } from '../../../sidecar/terms/field-names.ts';
import { ok, onHead, rawApp } from '../../support/raw-app.ts';
import { exchange, RawClient } from '../../support/raw-http.ts';
import { startTarget } from './target.ts';
import { hostile, startTwoCallees } from './two-callees.ts';

/** Every character of a field name that is no letter and no digit (RFC 9110 §5.6.2). */
const separators = [..."-_.~!#$%&'*+^`|"];

/** Names that a server in front of CGI reads as fields that only a sidecar writes, or that a signature covers. */
const disguises = separators.flatMap((separator) =>
  ['X-Service-ID', 'x-service-content-length', 'X-Service-Tenant', 'Signature-Input', 'X-Forwarded-For']
    .map((name) => name.replaceAll('-', separator))
    .filter((name) => separator !== '-' || isIdentityName(foldedName(name))),
);
const mixed = [
  'X-Service.ID',
  'X.Service-ID',
  'X_Service!ID',
  'Content.Length',
  'Content~Type',
  'X|Request|ID',
];
const fields = [...disguises, ...mixed].map((name) => `${name}: forged\r\n`).join('');

/** In two parts, because the smaller limit of fields is 100. */
const halves = [fields.slice(0, fields.indexOf('X+Service')), fields.slice(fields.indexOf('X+Service'))];

t.test(
  'a stranger on a public route brings no identity field to the app, however it is written',
  async (t) => {
    const { app, inbound } = await startTarget(t);
    for (const half of halves) {
      const { status } = await exchange(
        t,
        inbound,
        `GET /api/health HTTP/1.1\r\nHost: npu-worker\r\n${half}X.Other_Name: kept\r\n\r\n`,
      );
      t.equal(status, 200);
      const { head } = app.requests.at(-1)!;
      t.notMatch(head, /forged/);
      t.match(head, /\r\nX\.Other_Name: kept\r\n/);
    }
  },
);

t.test('nor does a caller through two sidecars, nor an app in its answer', async (t) => {
  let answer = '';
  const app = await rawApp(t, (socket) => onHead(socket, (head) => socket.write(ok(head, answer))));
  const { outbound } = await startTwoCallees(t, { hostile: app, honest: app });
  for (const half of halves) {
    answer = half;
    const client = await RawClient.connect(t, outbound);
    client.write(`GET / HTTP/1.1\r\nHost: ${hostile}\r\n${half}\r\n`);
    const { status, head, body } = await client.response();
    t.equal(status, 200);
    t.notMatch(head, /forged/);
    t.notMatch(body, /forged/);
    t.match(body, /\r\nX-Service-ID: main-backend\r\n/);
  }
});

t.test('a trailer section with an identity field breaks the call off', async (t) => {
  const { app, inbound } = await startTarget(t);
  for (const separator of separators) {
    const name = 'X-Service-ID'.replaceAll('-', separator);
    const client = await RawClient.connect(t, inbound);
    client.write(
      `POST /api/open HTTP/1.1\r\nHost: npu-worker\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n${name}: forged\r\n\r\n`,
    );
    t.equal((await client.response()).reason, 'malformed-request', name);
  }
  t.notMatch(app.bytes, /forged/);
});

t.test('Connection may not name an identity field, however it is written', async (t) => {
  const { inbound } = await startTarget(t);
  for (const name of [...disguises, ...mixed.slice(0, 5)].filter((name) => !/forwarded/i.test(name))) {
    const request = `GET /api/health HTTP/1.1\r\nHost: npu-worker\r\nConnection: ${name}\r\n\r\n`;
    t.equal((await exchange(t, inbound, request)).status, 400, name);
  }
});

t.test('every known field folds to itself', async (t) => {
  for (const name of fieldNames) t.equal(foldedName(name), name);
});
