import { MessageChannel } from 'node:worker_threads';
import t, { type Test } from 'tap';
import type { Batch } from '../../signals/feed.ts';
import { Feeds } from '../../signals/feeds.ts';

/** Feeds whose other end is the test. */
function open(t: Test) {
  const { port1, port2 } = new MessageChannel();
  const batches: Batch[] = [];
  const reports: (string | undefined)[] = [];
  let next = Promise.withResolvers<Batch>();
  port2.on('message', (batch: Batch) => {
    batches.push(batch);
    next.resolve(batch);
    next = Promise.withResolvers();
  });
  t.teardown(() => port2.close());
  const targets = { otlp: 'http://127.0.0.1:1', accessLog: '/nowhere' };
  const feeds = new Feeds(port1, targets, (problem) => reports.push(problem));
  return { feeds, batches, reports, next: () => next.promise, answer: port2.postMessage.bind(port2) };
}

t.test('sends what came together in one batch, and one batch at a time', async (t) => {
  const { feeds, batches, next, answer } = open(t);
  const { access } = feeds;
  const first = next();
  access!.push('{"n":1}');
  access!.push('{"n":2}');
  t.same(await first, { signal: 'access', lines: '{"n":1}\n{"n":2}', count: 2 });
  access!.push('{"n":3}');
  const flushed = access!.flush();
  t.equal(batches.length, 1, 'the next one waits for the receipt');
  const second = next();
  answer({ signal: 'access', lost: 0 });
  t.match(await second, { lines: '{"n":3}' });
  answer({ signal: 'access', lost: 0 });
  await flushed;
  t.same(feeds.dropped, { traces: 0, logs: 0, access: 0 });
});

t.test('a receiver that hangs costs bounded memory: what finds no room is counted', async (t) => {
  const { feeds, next } = open(t);
  const text = 'x'.repeat(1024);
  const first = next();
  feeds.logs!.push(text);
  await first;
  let kept = 0;
  for (let i = 0; i < 10_000; i++)
    if (feeds.logs!.hasRoom()) {
      feeds.logs!.push(text);
      kept++;
    }
  t.equal(kept, 4096);
  t.equal(feeds.logs!.dropped, 10_000 - 4096);
  t.ok(feeds.traces!.hasRoom(), 'the other signals have room of their own');
});

t.test('strangers fill a part of the room only', async (t) => {
  const { feeds } = open(t);
  const text = 'x'.repeat(1024);
  let strangers = 0;
  while (feeds.logs!.hasRoom(0.5)) {
    feeds.logs!.push(text);
    strangers++;
  }
  t.equal(strangers, 2048);
  t.ok(feeds.logs!.hasRoom());
});

t.test(
  'what was lost on the way is counted, and reported once when it begins and once when it ends',
  async (t) => {
    const { feeds, reports, next, answer } = open(t);
    for (const lost of [1, 1, 0, 0]) {
      const batch = next();
      feeds.traces!.push('{}');
      const flushed = feeds.traces!.flush();
      await batch;
      answer({ signal: 'traces', lost, problem: 'down' });
      await flushed;
    }
    t.equal(feeds.dropped.traces, 2);
    t.same(reports, ['down', undefined]);
  },
);
