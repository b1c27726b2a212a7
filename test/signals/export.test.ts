import { mkdir, readFile, rename, stat } from 'node:fs/promises';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { ExportThread } from '../../signals/export-thread.ts';
import { Feeds, type SignalTargets } from '../../signals/feeds.ts';
import { logJson, spanJson } from '../../signals/otlp.ts';
import { continueTrace } from '../../signals/trace-context.ts';
import { OtlpCollector } from '../support/otlp-collector.ts';
import { tempFolder } from '../support/temp-folder.ts';

const span = continueTrace('00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01')!;
const spanText = spanJson({
  span,
  name: 'GET /x',
  kind: 'server',
  startMs: 1_764_000_000_000.25,
  endMs: 1_764_000_000_001.5,
  attributes: { 'url.path': '/x', 'http.response.status_code': 502, half: 0.5, yes: true, none: undefined },
  error: 'upstream-failed',
});

function start(t: Test, targets: SignalTargets) {
  const faults: Error[] = [];
  const thread = new ExportThread(
    { targets, resource: { 'service.name': 'npu-worker' }, version: '1.2.3' },
    (error) => faults.push(error),
  );
  const reports: (string | undefined)[] = [];
  const feeds = new Feeds(thread.attach(), targets, (problem) => reports.push(problem));
  t.teardown(() => feeds.close());
  return { thread, feeds, reports, faults };
}

t.test('a collector gets spans and log records as OTLP has them', async (t) => {
  const collector = await OtlpCollector.start(t);
  const { feeds } = start(t, { otlp: collector.url });
  feeds.traces!.push(spanText);
  feeds.logs!.push(
    logJson({
      timeMs: 1_764_000_000_000,
      event: 'countersign.denial',
      body: 'no',
      attributes: { a: 'b' },
      span,
    }),
  );
  await feeds.flush();
  t.match(collector.spans, [
    {
      traceId: span.traceId,
      spanId: span.spanId,
      parentSpanId: '00f067aa0ba902b7',
      name: 'GET /x',
      kind: 2,
      startTimeUnixNano: '1764000000000250000',
      endTimeUnixNano: '1764000000001500000',
      status: { code: 2, message: 'upstream-failed' },
      resource: { 'service.name': 'npu-worker' },
    },
  ]);
  t.same(collector.spans[0]?.attributes, {
    'url.path': '/x',
    'http.response.status_code': 502,
    half: 0.5,
    yes: true,
  });
  t.match(collector.logs, [
    {
      eventName: 'countersign.denial',
      traceId: span.traceId,
      body: { stringValue: 'no' },
      attributes: { a: 'b' },
    },
  ]);
});

t.test(
  'what a collector refuses for good is counted and reported; what it takes later is not lost',
  async (t) => {
    const collector = await OtlpCollector.start(t);
    const { feeds, reports } = start(t, { otlp: collector.url });
    collector.refuse = (response) => response.writeHead(400).end();
    feeds.traces!.push(spanText);
    await feeds.flush();
    t.equal(feeds.dropped.traces, 1);
    t.match(reports, [/status 400/]);
    collector.refuse = (response) => {
      collector.refuse = undefined;
      response.writeHead(503, { 'retry-after': '0' }).end();
    };
    feeds.traces!.push(spanText);
    await feeds.flush();
    t.equal(collector.spans.length, 1);
    t.equal(feeds.dropped.traces, 1);
    collector.refuse = (response) =>
      response
        .writeHead(200)
        .end(JSON.stringify({ partialSuccess: { rejectedSpans: '1', errorMessage: 'full' } }));
    feeds.traces!.push(spanText);
    await feeds.flush();
    t.equal(feeds.dropped.traces, 2);
  },
);

t.test('the access log is a file of mode 0600 that can be rotated, in pure ASCII', async (t) => {
  const accessLog = join(await tempFolder(t), 'access.jsonl');
  const { thread, feeds } = start(t, { accessLog });
  const hostile = '/\u001b[2J\u009b31m\u202eevil\n{"forged":1}';
  feeds.access!.push(JSON.stringify({ path: hostile }));
  await feeds.flush();
  t.equal((await stat(accessLog)).mode & 0o777, 0o600);
  const text = await readFile(accessLog, 'latin1');
  t.match(text, /^[\x20-\x7e]*\n$/, 'one line, and nothing that acts on a terminal');
  t.same(JSON.parse(text), { path: hostile });
  await rename(accessLog, `${accessLog}.1`);
  thread.reopen();
  feeds.access!.push('{"n":2}');
  await feeds.flush();
  t.equal(await readFile(accessLog, 'latin1'), '{"n":2}\n');
  t.equal(await readFile(`${accessLog}.1`, 'latin1'), text);
});

t.test('an access log that cannot be written is counted, and is written again once it can be', async (t) => {
  const folder = await tempFolder(t);
  const accessLog = join(folder, 'later', 'access.jsonl');
  const { feeds, reports, faults } = start(t, { accessLog });
  feeds.access!.push('{"n":1}');
  await feeds.flush();
  t.equal(feeds.dropped.access, 1);
  t.match(reports, [/ENOENT/]);
  await mkdir(join(folder, 'later'));
  feeds.access!.push('{"n":2}');
  await feeds.flush();
  t.match(await readFile(accessLog, 'latin1'), /\{"n":2\}\n$/);
  t.same(faults, []);
});
