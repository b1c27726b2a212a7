import fc from 'fast-check';
import t from 'tap';
import { type Ordered, ResponseOrder } from '../../../sidecar/connections/response-order.ts';

interface Request extends Ordered {
  readonly n: number;
  queued: string | undefined;
}

const request = (n: number): Request => ({ n, queued: undefined });

t.test('whole responses leave in the order of their requests, each once, whatever comes first', async (t) => {
  await fc.assert(
    fc.asyncProperty(
      fc.integer({ min: 1, max: 15 }).chain((count) =>
        fc.record({
          order: fc.shuffledSubarray(
            Array.from({ length: count }, (_, i) => i),
            { minLength: count },
          ),
          turns: fc.array(fc.boolean(), { minLength: count, maxLength: count }),
        }),
      ),
      async ({ order: answers, turns }) => {
        let written = '';
        const order = new ResponseOrder<Request>((text) => {
          written += text;
        });
        const requests = answers.map((_, i) => request(i));
        for (const one of requests) order.begin(one);
        for (const [i, n] of answers.entries()) {
          const one = requests[n]!;
          order.send(one, `[${n}]`);
          // What a connection does when the response in front has gone.
          for (let front = one; front === order.front; ) {
            const next = order.next();
            if (next?.queued === undefined) break;
            order.send(next, next.queued);
            front = next;
          }
          const prefix = requests.map(({ n }) => `[${n}]`).join('');
          if (!prefix.startsWith(written)) return false;
          if (turns[i]) await new Promise(setImmediate);
        }
        await new Promise(setImmediate);
        return written === requests.map(({ n }) => `[${n}]`).join('');
      },
    ),
    { numRuns: 200 },
  );
  t.pass();
});

t.test('what is written to the connection itself goes behind what is ready', async (t) => {
  let written = '';
  const order = new ResponseOrder<Request>((text) => {
    written += text;
  });
  const [first, second] = [request(0), request(1)];
  order.begin(first);
  order.begin(second);
  order.send(first, '[0]');
  t.equal(written, '', 'it waits for what may be ready in the same turn');
  order.flush();
  t.equal(written, '[0]');
  await new Promise(setImmediate);
  t.equal(written, '[0]', 'and leaves once');
});

t.test('at most sixteen are under way, and all are told when the connection ends', async (t) => {
  const order = new ResponseOrder<Request>(() => {});
  const requests: Request[] = [];
  for (let n = 0; n < 16; n++) {
    t.equal(order.hasRoom(), n < 15, `${n} under way: room for one more behind the next`);
    requests.push(request(n));
    order.begin(requests[n]!);
    t.ok(order.isLast(requests[n]!));
    if (n > 0) t.notOk(order.isLast(requests[n - 1]!));
  }
  t.strictSame(order.clear(), requests);
  t.equal(order.front, undefined);
  t.strictSame(order.clear(), []);
});
