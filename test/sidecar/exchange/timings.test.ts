import { once } from 'node:events';
import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import t, { type Test } from 'tap';
import { totalOf } from '../../../sidecar/telemetry/histogram.ts';
import type { TelemetrySnapshot } from '../../../sidecar/telemetry/snapshot.ts';
import { startDataPath } from '../../support/data-path.ts';
import { ok, onHead, rawApp } from '../../support/raw-app.ts';
import { RawClient } from '../../support/raw-http.ts';

const authorization = `services:
  npu-worker:
    public: [ POST /api/open ]
    callers:
      main-backend: [ GET /api/status/*, POST /api/process ]
`;
/** How long whoever is slow takes. */
const slowMs = 300;

/** npu-worker's inbound side before an app that answers when the test says so. */
async function start(t: Test) {
  const asked = Promise.withResolvers<Socket>();
  const app = await rawApp(t, (socket) => onHead(socket, () => asked.resolve(socket)));
  return { asked: asked.promise, ...(await startDataPath(t, { app, authorization })) };
}

/** What was timed of main-backend's calls, in seconds. */
function timed({ peers }: TelemetrySnapshot) {
  const { firstByte, overhead, routes } = peers.find(({ peer }) => peer === 'main-backend')!;
  return {
    calls: totalOf(overhead[0]),
    answered: totalOf(firstByte[0]),
    firstByte: firstByte[0].sum,
    overhead: overhead[0].sum,
    duration: routes[0].reduce((sum, { duration }) => sum + duration.sum, 0),
  };
}

t.test('a slow app shows in duration and time to first byte, and not in the overhead', async (t) => {
  const { asked, signed, inbound, telemetry } = await start(t);
  const client = await RawClient.connect(t, inbound);
  client.write(signed().head);
  const app = await asked;
  t.same(telemetry.snapshot().inFlight, [1, 0], 'it is in flight meanwhile');
  await delay(slowMs);
  app.write(ok());
  t.equal((await client.response()).status, 200);
  t.same(telemetry.snapshot().inFlight, [0, 0]);
  const { calls, answered, firstByte, overhead, duration } = timed(telemetry.snapshot());
  t.same([calls, answered], [1, 1]);
  t.ok(firstByte >= (0.9 * slowMs) / 1000, `${firstByte} s`);
  t.ok(duration >= firstByte);
  t.ok(overhead > 0 && overhead <= duration - (0.9 * slowMs) / 1000, `${overhead} of ${duration} s`);
});

t.test('the time to first byte of a stream ends with its head, and its overhead too', async (t) => {
  const { asked, signed, inbound, telemetry } = await start(t);
  const client = await RawClient.connect(t, inbound);
  client.write(signed().head);
  const app = await asked;
  app.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nsl');
  await client.until((text) => text.endsWith('sl'));
  await delay(slowMs);
  app.end('ow');
  await client.until((text) => text.endsWith('ow'));
  await once(app, 'close');
  const { firstByte, overhead, duration } = timed(telemetry.snapshot());
  t.ok(firstByte <= duration - (0.9 * slowMs) / 1000, `${firstByte} of ${duration} s`);
  t.ok(overhead <= duration - (0.9 * slowMs) / 1000, `${overhead} of ${duration} s`);
});

t.test('a client that sends its body slowly is no overhead', async (t) => {
  const { asked, signed, inbound, telemetry } = await start(t);
  const client = await RawClient.connect(t, inbound);
  client.write(signed({ method: 'POST', target: '/api/process', body: 'slow' }).head);
  client.write('sl');
  await delay(slowMs);
  client.write('ow');
  (await asked).write(ok());
  t.equal((await client.response()).status, 200);
  const { overhead, duration } = timed(telemetry.snapshot());
  t.ok(duration >= (0.9 * slowMs) / 1000);
  t.ok(overhead <= duration - (0.9 * slowMs) / 1000, `${overhead} of ${duration} s`);
});

t.test('a refused call has no time to first byte: all of its time is overhead', async (t) => {
  const { signed, inbound, telemetry } = await start(t);
  const client = await RawClient.connect(t, inbound);
  client.write(signed({ method: 'DELETE' }).head);
  t.equal((await client.response()).status, 403);
  const { calls, answered, overhead, duration } = timed(telemetry.snapshot());
  t.same([calls, answered], [1, 0]);
  t.equal(overhead, duration);
});
