import type { Socket } from 'node:net';
import { PassThrough } from 'node:stream';
import t from 'tap';
import { corkForThisTurn, useAtTurnEnd } from '../../../sidecar/connections/turn-end.ts';

t.test('what a turn brought is used before anything of it leaves', async (t) => {
  const left: string[] = [];
  // Only cork() and uncork() of a stream are used.
  const stream = new PassThrough({ writev: undefined }) as unknown as Socket;
  const uncork = stream.uncork.bind(stream);
  stream.uncork = () => {
    left.push('uncorked');
    uncork();
  };
  corkForThisTurn(stream);
  stream.write('head');
  useAtTurnEnd(() => left.push('used'));
  t.equal(stream.writableCorked, 1);
  await new Promise(setImmediate);
  t.same(left, ['used', 'uncorked']);
  t.equal(stream.writableCorked, 0);
});

t.test('what is corked meanwhile leaves with the rest', async (t) => {
  const stream = new PassThrough() as unknown as Socket;
  useAtTurnEnd(() => {
    corkForThisTurn(stream);
    stream.write('head');
  });
  await new Promise(setImmediate);
  t.equal(stream.writableCorked, 0);
});
