import t, { type Test } from 'tap';
import { forwardAlways } from '../../../sidecar/policy/forward-always.ts';
import { ReplayMemory } from '../../../sidecar/replay/replay-memory.ts';
import type { ApplyVerdict } from '../../../sidecar/terms/verdict.ts';
import { type LocalDataPath, startDataPath } from '../../support/data-path.ts';
import { exchange, RawClient, RecordingApp } from '../../support/raw-http.ts';

const authorization = `services:
  npu-worker:
    public: [ GET /api/health, POST /api/open ]
    callers:
      main-backend: [ POST /api/process, GET /api/status/* ]
`;

/** npu-worker's inbound side before an app that records every byte. */
async function start(t: Test, applyVerdict?: ApplyVerdict, memory?: ReplayMemory) {
  const app = await RecordingApp.start(t);
  const options = {
    app: app.port,
    authorization,
    ...(applyVerdict && { applyVerdict }),
    ...(memory && { memory }),
  };
  return { app, ...(await startDataPath(t, options)) };
}

/** A request that the app would answer: it must never come out of a body. */
const smuggled = 'GET /api/health HTTP/1.1\r\nHost: npu-worker\r\n\r\n';
const chunked = `${smuggled.length.toString(16)}\r\n${smuggled}\r\n0\r\n\r\n`;

/** What comes on a connection before it ends. */
const nothingMore = (client: RawClient) => client.until((text) => text !== '');

/** The body of the refused request `head` never becomes a request, however it comes. */
async function bodyIsNoRequest(
  t: Test,
  { inbound, app }: LocalDataPath & { app: RecordingApp },
  head: () => string,
  body: string,
): Promise<void> {
  const bytesBefore = app.bytes.length;
  for (const late of [0, body.length, body.length >> 1]) {
    const client = await RawClient.connect(t, inbound);
    const text = head();
    client.write(text + body.slice(0, body.length - late));
    const { reason } = await client.response();
    t.ok(reason, `${text.split('\r\n', 1)[0]}: refused`);
    // What is left of the body comes when the refusal has gone out.
    client.write(body.slice(body.length - late) + smuggled);
    t.equal(await nothingMore(client), '', 'one answer, and then the connection ends');
    client.socket.destroy();
  }
  t.equal(app.bytes.length, bytesBefore, 'nothing reached the app');
}

t.test('attack: the body of a refused request does not become a request of its own', async (t) => {
  const target = await start(t);
  const { signed } = target;
  const framings: (readonly [string, string])[] = [
    [`Content-Length: ${smuggled.length}\r\n`, smuggled],
    ['Transfer-Encoding: chunked\r\n', chunked],
    [`Content-Length: ${smuggled.length}\r\nExpect: 100-continue\r\n`, smuggled],
  ];
  for (const [fields, body] of framings) {
    for (const line of ['POST /api/process', 'PUT /api/open', 'DELETE /api/health', 'GET /api/nothing'])
      await bodyIsNoRequest(t, target, () => `${line} HTTP/1.1\r\nHost: npu-worker\r\n${fields}\r\n`, body);
  }
  // One that is proven and not authorised: each needs a nonce of its own.
  await bodyIsNoRequest(
    t,
    target,
    () => signed({ method: 'PUT', target: '/api/open/x', body: smuggled }).head,
    smuggled,
  );
});

t.test(
  'attack: a signed request that is refused before its body was read takes the body with it',
  async (t) => {
    const target = await start(t);
    const { signed, inbound, app } = target;
    // Connection names a field that the signature covers.
    const covered = [
      '@method',
      '@authority',
      '@path',
      '@query',
      'x-service-id',
      'content-digest',
      'x-tenant',
    ];
    const request = () =>
      signed({
        method: 'POST',
        target: '/api/process',
        body: smuggled,
        covered,
        fields: [['X-Tenant', 'a']],
      });
    const client = await RawClient.connect(t, inbound);
    client.write(request().head.replace('Host:', 'Connection: x-tenant\r\nHost:') + smuggled + smuggled);
    t.equal((await client.response()).reason, 'malformed-request');
    t.equal(await nothingMore(client), '');
    t.equal(app.requests.length, 0);
  },
);

t.test('attack: what follows a body that was not the signed one stays unread', async (t) => {
  const { signed, inbound, app } = await start(t);
  // Too long to be held: it is refused at its end, in the middle of the stream.
  const body = Buffer.alloc(3_000_000, 'a');
  const { head } = signed({ method: 'POST', target: '/api/process', body });
  body[10] = 0x62;
  const client = await RawClient.connect(t, inbound);
  client.write(head);
  client.write(body);
  client.write(smuggled);
  t.equal((await client.response()).reason, 'digest-mismatch');
  t.equal(await nothingMore(client), '');
  t.equal(app.requests.length, 0);
});

t.test('a public call whose body is not the signed one goes to the app as nobody’s', async (t) => {
  const { signed, inbound, app } = await start(t);
  const call = (body: Buffer) => signed({ method: 'POST', target: '/api/open', body });
  for (const length of [12, 100_000, 3_000_000]) {
    const body = Buffer.alloc(length, 'a');
    const { bytes } = call(body);
    if (length < 1_000_000) {
      t.equal((await exchange(t, inbound, bytes)).status, 200);
      t.match(app.requests.at(-1)?.head, /^X-Service-ID: main-backend\r?$/m, 'the signed one is named');
    }
    const changed = Buffer.from(call(body).bytes);
    changed[changed.length - 1]! ^= 1;
    t.equal((await exchange(t, inbound, changed)).status, 200, `${length} bytes`);
    const got = app.requests.at(-1);
    t.equal(got?.body.length, length);
    t.notMatch(got?.head, /x-service-id/i, 'nobody is named');
  }
});

t.test('a logging sidecar names nobody either when the body is not the signed one', async (t) => {
  const { signed, inbound, app } = await start(t, forwardAlways);
  for (const length of [12, 3_000_000]) {
    const body = Buffer.alloc(length, 'a');
    const { bytes } = signed({ method: 'POST', target: '/api/process', body });
    bytes[bytes.length - 1]! ^= 1;
    const response = await exchange(t, inbound, bytes);
    t.equal(response.status, 200);
    if (length < 1_000_000) {
      t.match(response.head, /X-Service-Denial|digest-mismatch/i);
      t.notMatch(app.requests.at(-1)?.head, /x-service-id/i);
    }
  }
});

t.test('attack: no member with our tag reaches the app, whoever sent it', async (t) => {
  for (const applyVerdict of [undefined, forwardAlways]) {
    const { signed, inbound, app } = await start(t, applyVerdict);
    const mac = Buffer.alloc(32, 1).toString('base64');
    const theirs = 'theirs=("@path");created=1;keyid="k";tag="other"';
    const stranger = (input: string, signature = `svc=:${mac}:, theirs=:AA==:`) =>
      `GET /api/health HTTP/1.1\r\nHost: npu-worker\r\nSignature-Input: ${input}\r\nSignature: ${signature}\r\n\r\n`;
    for (const tag of ['"countersign"', '"countersign-trailer"', 'countersign']) {
      const ours = `svc=("@path");created=1;keyid="main-backend/1";nonce="0123456789abcdef";tag=${tag}`;
      for (const input of [
        `${ours}, ${theirs}`,
        `${theirs}, ${ours}`,
        `${theirs}\r\nSignature-Input: ${ours}`,
      ]) {
        const response = await exchange(t, inbound, stranger(input));
        t.equal(response.status, 200);
        const head = app.requests.at(-1)?.head ?? '';
        t.notMatch(head, /countersign/, tag);
        t.notMatch(head, mac, 'nor its signature');
        t.match(head, `Signature-Input: ${theirs}`, 'what is another party’s stays byte for byte');
        t.match(head, /^Signature: theirs=:AA==:\r?$/m);
      }
    }
    // One that does not parse, and one beside the proven caller's own.
    await exchange(t, inbound, stranger('svc=("@path";tag="countersign"'));
    t.notMatch(app.requests.at(-1)?.head, /countersign/);
    const beside = signed()
      .bytes.toString('latin1')
      .replace('Signature-Input: svc', `Signature-Input: ${theirs}, svc`)
      .replace('Signature: svc', 'Signature: theirs=:AA==:, svc');
    t.equal((await exchange(t, inbound, beside)).status, 200);
    const head = app.requests.at(-1)?.head ?? '';
    t.match(head, /^X-Service-ID: main-backend\r?$/m);
    t.notMatch(head, /countersign/);
    t.match(head, `Signature-Input: ${theirs}`);
  }
});

t.test(
  'a caller that has filled its part of the replay memory is refused, and open routes stay open',
  async (t) => {
    const memory = ReplayMemory.ofCapacity(8);
    const { signed, inbound, app } = await start(t, undefined, memory);
    let calls = 0;
    for (; calls < 100; calls++) if ((await exchange(t, inbound, signed().bytes)).status !== 200) break;
    t.equal(calls, 6, 'what it is guaranteed, one of two callers, and the half that all have in common');
    const refused = await exchange(t, inbound, signed().bytes);
    t.equal(refused.reason, 'replay-memory-full');
    t.equal(refused.status, 503);
    t.equal(app.requests.length, 6);
    const open = signed({ method: 'POST', target: '/api/open', body: 'x' });
    t.equal((await exchange(t, inbound, open.bytes)).status, 200);
    t.notMatch(app.requests.at(-1)?.head, /x-service-id/i, 'but nobody is named: it may be a replay');
  },
);
