import t, { type Test } from 'tap';
import { RawClient } from '../../support/raw-http.ts';
import { startTarget } from './target.ts';

const short = 'timeouts: { head: 1s, idle: 1s, response: 2s, drain: 2s }';

async function refusal(test: Test, client: RawClient, status: number, reason: string): Promise<void> {
  const response = await client.response();
  test.equal(response.status, status);
  test.equal(response.reason, reason);
  test.match(response.head, /^Connection: close$/m);
  await client.end();
}

t.test('a head that arrives a byte at a time', async (t) => {
  const { inbound, app } = await startTarget(t, 'enforcing', short);
  const client = await RawClient.connect(t, inbound);
  const since = performance.now();
  const drip = setInterval(() => client.write('X'), 100);
  t.teardown(() => clearInterval(drip));
  client.write('GET /api/health HTTP/1.1\r\nHost: npu-worker\r\nX-Slow: ');
  await refusal(t, client, 408, 'request-timeout');
  const took = performance.now() - since;
  t.ok(took > 800 && took < 3_000, `after ${took} ms: bytes do not put the limit off`);
  t.equal(app.bytes, '');
});

t.test('a connection that sends nothing takes no place for ever', async (t) => {
  const { inbound } = await startTarget(t, 'enforcing', short);
  for (const sent of ['', '\r\n', '\r\n\r\n\r\n']) {
    const client = await RawClient.connect(t, inbound);
    client.write(sent);
    t.equal(await client.end(), '', JSON.stringify(sent));
  }
});

t.test('a body that stops arriving', async (t) => {
  const { inbound, app, signed } = await startTarget(t, 'enforcing', short);
  const open = 'POST /api/open HTTP/1.1\r\nHost: npu-worker\r\n';
  for (const bytes of [
    `${open}Content-Length: 10\r\n\r\nhalf`,
    `${open}Transfer-Encoding: chunked\r\n\r\n5\r\nhel`,
    signed({ method: 'POST', target: '/api/process', body: 'whole' }).bytes.subarray(0, -1),
  ]) {
    const client = await RawClient.connect(t, inbound);
    client.write(bytes);
    await refusal(t, client, 408, 'request-timeout');
  }
  t.equal(app.requests.length, 0, 'the app never had a whole request');
});
