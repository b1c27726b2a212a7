import { MessageChannel } from 'node:worker_threads';
import t, { type Test } from 'tap';
import type { Batch } from '../../../signals/feed.ts';
import { Feeds } from '../../../signals/feeds.ts';
import { startDataPath } from '../../support/data-path.ts';
import { RawClient, RecordingApp } from '../../support/raw-http.ts';

const authorization = `services:
  npu-worker:
    public: [ GET /api/health ]
    callers:
      main-backend: [ GET /api/status/* ]
`;
const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
const sampled = `00-${trace}-00f067aa0ba902b7-01`;

/** npu-worker's inbound side; the test is the thread that exports. */
async function start(t: Test) {
  const { port1, port2 } = new MessageChannel();
  const spans: string[] = [];
  port2.on('message', ({ signal, lines }: Batch) => {
    if (signal === 'traces') spans.push(...lines.split('\n'));
    port2.postMessage({ signal, lost: 0 });
  });
  const feeds = new Feeds(port1, { otlp: 'http://127.0.0.1:1' }, () => {});
  t.teardown(() => port2.close());
  const app = await RecordingApp.start(t);
  const path = await startDataPath(t, { app: app.port, authorization, feeds });
  const call = async (head: string) => {
    const before = app.bytes.length;
    const client = await RawClient.connect(t, path.inbound);
    client.write(head);
    const { status } = await client.response();
    await feeds.flush();
    return { status, got: app.bytes.slice(before) };
  };
  return { spans, call, signed: path.signed };
}

/** The head of a signed request with further fields, which the signature does not cover. */
const withFields = (head: string, fields: string) => head.replace('\r\n', `\r\n${fields}`);

t.test("a proven caller's trace goes on below a span of ours", async (t) => {
  const { spans, call, signed } = await start(t);
  const { status, got } = await call(withFields(signed().head, `TraceParent: ${sampled}\r\n`));
  t.equal(status, 200);
  t.equal(spans.length, 1);
  const { traceId, spanId, parentSpanId } = JSON.parse(spans[0]!);
  t.same([traceId, parentSpanId], [trace, '00f067aa0ba902b7']);
  t.same(got.match(/^traceparent: .*$/gim), [`traceparent: 00-${trace}-${spanId}-01`]);
});

t.test('attack: a stranger has us send no span, and changes nothing', async (t) => {
  const { spans, call } = await start(t);
  const head = `GET /api/health HTTP/1.1\r\nHost: npu-worker\r\ntraceparent: ${sampled}\r\n\r\n`;
  const { status, got } = await call(head);
  t.equal(status, 200);
  t.match(got, `traceparent: ${sampled}\r\n`);
  t.equal((await call(head.replace('health', 'nothing'))).status, 401);
  t.same(spans, []);
});

t.test('what is not sampled, doubled or no traceparent passes as it came', async (t) => {
  const { spans, call, signed } = await start(t);
  for (const fields of [
    `traceparent: 00-${trace}-00f067aa0ba902b7-00\r\n`,
    `traceparent: ${sampled}\r\ntraceparent: ${sampled}\r\n`,
    'traceparent: nonsense\r\n',
  ]) {
    const { status, got } = await call(withFields(signed().head, fields));
    t.equal(status, 200);
    t.equal(got.match(/^traceparent: .*\r\n/gm)?.join(''), fields);
  }
  t.same(spans, []);
});
