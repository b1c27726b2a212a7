import fc from 'fast-check';
import t from 'tap';
import { type Ordered, ResponseOrder } from '../../../sidecar/connections/response-order.ts';

interface Request extends Ordered {
  readonly name: string;
}

function orderOf(...names: string[]) {
  const writes: string[] = [];
  const order = new ResponseOrder<Request>((text) => void writes.push(text));
  const requests = names.map((name): Request => ({ name, queued: undefined }));
  for (const request of requests) order.begin(request);
  return { order, requests, writes };
}

/** As a connection does it: what is ready behind the one in front leaves with it. */
function answer(order: ResponseOrder<Request>, request: Request): void {
  order.send(request, `${request.name} `);
  if (request !== order.front) return;
  for (let next = order.next(); next?.queued !== undefined; next = order.next())
    order.send(next, next.queued);
}

t.test('responses leave in the order of the requests, in whatever order they are ready', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.shuffledSubarray([0, 1, 2, 3, 4, 5, 6], { minLength: 7 }), async (readiness) => {
      const { order, requests, writes } = orderOf('a', 'b', 'c', 'd', 'e', 'f', 'g');
      for (const index of readiness) answer(order, requests[index] as Request);
      order.flush();
      return writes.join('') === 'a b c d e f g ' && order.front === undefined;
    }),
  );
  t.pass('for every order');
});

t.test('what is ready in one turn leaves in one write', async (t) => {
  const { order, requests, writes } = orderOf('a', 'b', 'c');
  for (const request of requests) answer(order, request);
  t.strictSame(writes, ['a b c ']);
});

t.test(
  'what others still follow leaves at the end of the turn, and before anything else is written',
  async (t) => {
    const { order, requests, writes } = orderOf('a', 'b');
    answer(order, requests[0] as Request);
    t.strictSame(writes, []);
    await new Promise((resolve) => setImmediate(resolve));
    t.strictSame(writes, ['a ']);
    const another = orderOf('a', 'b');
    answer(another.order, another.requests[0] as Request);
    another.order.flush();
    t.strictSame(another.writes, ['a ']);
  },
);

t.test('a single request needs no wait', async (t) => {
  const { order, requests, writes } = orderOf('a');
  order.send(requests[0] as Request, 'a');
  t.strictSame(writes, ['a']);
});

t.test('there is room for sixteen', async (t) => {
  const { order } = orderOf(...'abcdefghijklmn');
  t.equal(order.hasRoom(), true, 'a fifteenth is about to begin, and a sixteenth may follow');
  order.begin({ name: 'o', queued: undefined });
  t.equal(order.hasRoom(), false);
});

t.test('forgets and gives back all that is under way, in order', async (t) => {
  const { order, requests } = orderOf('a', 'b', 'c');
  t.equal(order.isLast(requests[2] as Request), true);
  t.equal(order.isLast(requests[0] as Request), false);
  t.strictSame(order.clear(), requests);
  t.equal(order.front, undefined);
  t.strictSame(order.clear(), []);
});
