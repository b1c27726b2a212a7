import { request } from 'node:http';
import t, { type Test } from 'tap';
import { callEvent } from '../../../sidecar/telemetry/call-event.ts';
import { callRecord, deniedRecord } from '../../support/call-record.ts';
import { adminThatSaw } from '../../support/observed-fleet.ts';
import { RawClient } from '../../support/raw-http.ts';

const get = 'GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n';
const call = callEvent(callRecord(), undefined, 0);
const denial = callEvent(deniedRecord(), undefined, 0);

async function reader(t: Test, url: string): Promise<RawClient> {
  const client = await RawClient.connect(t, Number(new URL(url).port));
  client.write(get);
  await client.until((text) => text.includes('retry: 2000'));
  return client;
}

t.test('streams calls and denials with ids, and ends with the listener', async (t) => {
  const { url, admin, events } = await adminThatSaw(t, []);
  const client = await reader(t, url);
  t.match(client.text, /^HTTP\/1.1 200 .*\r\ncontent-type: text\/event-stream\r\n/s);
  events.publish({ events: [call, denial], skipped: 4 });
  const text = await client.until((received) => received.includes('"count":4'));
  t.match(
    text,
    /id: (\S+)-1\nevent: call\ndata: \{.*\}\n\nid: \1-2\nevent: denial\ndata: \{.*"reason":"not-authorized".*\}\n\nevent: skipped/s,
  );
  await admin.close();
  await client.until(() => false);
  t.ok(client.closed);
});

t.test('a slow reader gets the denials that it missed, and the number of calls', async (t) => {
  const { url, events } = await adminThatSaw(t, []);
  const client = await reader(t, url);
  client.socket.pause();
  const batch = { events: Array.from({ length: 100 }, () => call), skipped: 0 };
  // Far more than the kernel's buffers take.
  for (let n = 0; n < 1_000; n++) {
    events.publish(batch);
    await new Promise((resolve) => setImmediate(resolve));
  }
  for (let n = 0; n < 20; n++)
    events.publish({ events: Array.from({ length: 100 }, () => denial), skipped: 0 });
  client.socket.resume();
  const text = await client.until((received) => received.includes('event: skipped'));
  const told = (kind: string) => text.split(`event: ${kind}\n`).length - 1;
  t.ok(told('call') < 100_000, 'calls are dropped');
  t.equal(told('denial'), 1_000, 'denials wait, so many of them');
  const counts = [...text.matchAll(/"count":(\d+)/g)].reduce((sum, [, count]) => sum + Number(count), 0);
  t.equal(told('call') + told('denial') + counts, 102_000, 'none is lost without being counted');
  const fast = await reader(t, url);
  events.publish({ events: [call], skipped: 0 });
  await fast.until((received) => received.includes('event: call'));
  t.pass('others are not held up');
});

t.test('only GET streams; others are refused, and too many readers', async (t) => {
  const { url } = await adminThatSaw(t, []);
  const status = (method: string, host = 'localhost') =>
    new Promise<number | undefined>((resolve) => {
      request(`${url}/events`, { method, headers: { host }, agent: false }, (response) => {
        response.resume();
        resolve(response.statusCode);
      }).end();
    });
  t.equal(await status('HEAD'), 200);
  t.equal(await status('POST'), 405);
  t.equal(await status('GET', 'evil.example'), 421);
  for (let n = 0; n < 16; n++) await reader(t, url);
  t.equal(await status('GET'), 503);
});
