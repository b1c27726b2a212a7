import t from 'tap';
import type { CallEvent } from '../../../sidecar/telemetry/call-event.ts';
import { callEvent } from '../../../sidecar/telemetry/call-event.ts';
import { EventFeed, type FeedEvent } from '../../../sidecar/telemetry/event-feed.ts';
import { callRecord } from '../../support/call-record.ts';

const event: CallEvent = callEvent(callRecord(), undefined, 0);

class Reader {
  readonly taken: FeedEvent[] = [];
  skipped = 0;
  ended = false;
  take(events: readonly FeedEvent[], skipped: number): void {
    this.taken.push(...events);
    this.skipped += skipped;
  }
  end(): void {
    this.ended = true;
  }
}

t.test('collects only while somebody reads, and for a reader who comes back', async (t) => {
  const watched: boolean[] = [];
  const feed = new EventFeed((on) => watched.push(on), 1_000);
  const one = new Reader();
  const leave = feed.subscribe(one, undefined);
  t.same(watched, [true]);
  feed.publish({ events: [event, event], skipped: 3 });
  t.equal(one.skipped, 3);
  t.same(
    one.taken.map(({ id }) => id),
    ['rs-1', 'rs-2'],
  );
  t.match(one.taken[0]?.text, /^id: rs-1\nevent: call\ndata: \{.*\}\n\n$/);
  leave();
  leave();
  feed.publish({ events: [event], skipped: 0 });
  t.same(watched, [true], 'not ended at once');
  const back = new Reader();
  feed.subscribe(back, 'rs-1');
  t.same(
    back.taken.map(({ id }) => id),
    ['rs-2', 'rs-3'],
    'what was missed',
  );
  const stranger = new Reader();
  feed.subscribe(stranger, 'of-another-start-1');
  t.same(stranger.taken, []);
  feed.close();
  t.same(watched, [true, false]);
  t.ok(back.ended && stranger.ended);
});

t.test('remembers a bounded number of events, and takes a bounded number of readers', async (t) => {
  const feed = new EventFeed(() => {}, 0);
  t.teardown(() => feed.close());
  const one = new Reader();
  feed.subscribe(one, undefined);
  for (let n = 0; n < 12; n++) feed.publish({ events: Array.from({ length: 100 }, () => event), skipped: 0 });
  const back = new Reader();
  feed.subscribe(back, '0-201');
  t.equal(back.taken.length, 999);
  for (let n = 2; n < 16; n++) {
    t.notOk(feed.isFull);
    feed.subscribe(new Reader(), undefined);
  }
  t.ok(feed.isFull);
});
