import { join } from 'node:path';
import t from 'tap';
import { startTestCore } from '../support/core-service.ts';
import { freePorts } from '../support/free-ports.ts';
import { httpCall } from '../support/http-call.ts';
import { type CollectedSpan, OtlpCollector } from '../support/otlp-collector.ts';
import { startSidecar, writeFleet } from '../support/sidecar-process.ts';
import { tempFolder } from '../support/temp-folder.ts';

const traceId = '4bf92f3577b34da6a3ce929d0e0e4736';
const parentId = '00f067aa0ba902b7';
const model = 'qwen2.5-coder-7b-instruct';
const authorization = `services:
  main-backend:
    callers:
      npu-worker: [ POST /v1/chat/completions ]
  ai-stack:
    callers:
      main-backend: [ "* /**" ]
`;

t.test('a chat call is one tree: client, outbound, inbound, core, outbound, inbound, model', async (t) => {
  const collector = await OtlpCollector.start(t);
  const telemetry = { otlp: collector.url };
  const folder = await tempFolder(t);
  const ports = await freePorts(9);
  const of = (index: number) => ({
    outbound: ports[index]!,
    inbound: ports[index + 3]!,
    admin: ports[index + 6]!,
  });
  const [npu, backend, ai] = [of(0), of(1), of(2)];
  const core = await startTestCore(t, { outboundPort: backend.outbound, telemetry });
  const apps = { 'npu-worker': 1, 'main-backend': core.service.address.port, 'ai-stack': core.modelPort };
  await writeFleet(
    folder,
    {
      'npu-worker': { inbound: npu.inbound, app: apps['npu-worker'] },
      'main-backend': { inbound: backend.inbound, app: apps['main-backend'] },
      'ai-stack': { inbound: ai.inbound, app: apps['ai-stack'] },
    },
    authorization,
  );
  const further = `telemetry: { otlp: "${collector.url}" }`;
  await Promise.all(
    (
      [
        ['npu-worker', npu],
        ['main-backend', backend],
        ['ai-stack', ai],
      ] as const
    ).map(([service, ports]) =>
      startSidecar(t, {
        phase: 'enforcing',
        folder: join(folder, service),
        service,
        ports,
        app: apps[service],
        further,
      }),
    ),
  );
  const ask = (traceparent: string, method = 'POST') =>
    httpCall(npu.outbound, {
      method,
      target: '/v1/chat/completions',
      headers: { host: 'main-backend', traceparent, 'x-request-id': 'the-request' },
      body: JSON.stringify({ model, messages: [{ role: 'user', content: 'hi' }] }),
    });

  t.equal((await ask(`00-${traceId}-${parentId}-01`)).status, 200);
  await collector.until(() => collector.spans.length >= 6);
  t.equal(collector.spans.length, 6, 'one span each; the core has one more for its call of the model');
  const chain: CollectedSpan[] = [];
  for (let parent: string | undefined = parentId; parent !== undefined; ) {
    const next = collector.spans.find((span) => span.parentSpanId === parent);
    if (next !== undefined) chain.push(next);
    parent = next?.spanId;
  }
  const sidecar = { 'countersign.verdict': 'allowed', 'http.response.status_code': 200 };
  t.match(chain, [
    {
      kind: 3,
      resource: { 'service.name': 'npu-worker' },
      attributes: { ...sidecar, 'countersign.direction': 'outbound', 'server.address': 'main-backend' },
    },
    {
      kind: 2,
      name: 'POST /v1/chat/completions',
      resource: { 'service.name': 'main-backend', 'countersign.component': 'sidecar' },
      attributes: {
        ...sidecar,
        'countersign.direction': 'inbound',
        'countersign.caller': 'npu-worker',
        'countersign.route': 'POST /v1/chat/completions',
        'countersign.sealed': true,
        'countersign.request_id': 'the-request',
      },
    },
    {
      kind: 2,
      resource: { 'service.name': 'countersign-core' },
      attributes: { 'countersign.caller': 'npu-worker', 'http.route': '/v1/chat/completions' },
    },
    { kind: 3, name: `chat ${model}`, attributes: { 'gen_ai.request.model': model } },
    { kind: 3, resource: { 'service.name': 'main-backend' }, attributes: { 'server.address': 'ai-stack' } },
    {
      kind: 2,
      resource: { 'service.name': 'ai-stack' },
      attributes: { 'countersign.caller': 'main-backend' },
    },
  ]);
  t.ok(chain.every((span) => span.traceId === traceId));
  t.ok(
    chain.every(
      ({ startTimeUnixNano, endTimeUnixNano }) => BigInt(endTimeUnixNano) >= BigInt(startTimeUnixNano),
    ),
  );
  const sent = core.model.calls[0]?.headers;
  t.equal(sent?.traceparent, `00-${traceId}-${chain.at(-1)?.spanId}-01`, 'the model is below the last span');
  t.equal(sent?.['x-request-id'], 'the-request');

  const unsampled = `00-${traceId}-${parentId}-00`;
  t.equal((await ask(unsampled)).status, 200);
  t.equal(core.model.calls[1]?.headers.traceparent, unsampled, 'what is not sampled passes as it came');

  t.equal((await ask(`00-${traceId}-${parentId}-01`, 'PUT')).status, 403);
  await collector.until(() => collector.logs.length >= 2 && collector.spans.length >= 8);
  t.equal(collector.spans.length, 8, 'two of the denied call, none of the unsampled one');
  t.match(collector.logs.map(({ attributes }) => attributes['countersign.direction']).sort(), [
    'inbound',
    'outbound',
  ]);
  for (const log of collector.logs) {
    t.match(log, {
      eventName: 'countersign.denial',
      traceId,
      attributes: { 'countersign.caller': 'npu-worker', 'countersign.reason': 'not-authorized' },
    });
    const span = collector.spans.find(({ spanId }) => spanId === log.spanId);
    t.match(span, {
      status: { code: 2, message: 'not-authorized' },
      attributes: { 'error.type': 'not-authorized' },
    });
  }
});
