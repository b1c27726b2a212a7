import { createServer } from 'node:http';
import { connect } from 'node:net';
import fc from 'fast-check';
import t from 'tap';
import { readMessages } from './message-reader.ts';
import { breakage, broken, message, splits } from './streams.ts';

/** What Node's own server makes of a stream of bytes; `whole` once the end of a message has been found. */
interface Seen {
  readonly method: string;
  readonly target: string;
  body: string;
  whole: boolean;
}
let seen: Seen[] = [];
const server = createServer({ keepAliveTimeout: 10_000 }, (incoming, response) => {
  const one = { method: incoming.method!, target: incoming.url!, body: '', whole: false };
  seen.push(one);
  incoming.setEncoding('latin1').on('data', (piece: string) => {
    one.body += piece;
  });
  incoming.on('end', () => {
    one.whole = true;
    response.end();
  });
  incoming.on('error', () => {});
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
t.teardown(() => {
  server.close();
  server.closeAllConnections();
});
const { port } = server.address() as { port: number };

async function nodeMessages(stream: Buffer, split: readonly number[]): Promise<Seen[]> {
  seen = [];
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  socket.on('error', () => {}).resume();
  const closed = new Promise((resolve) => socket.once('close', resolve));
  let at = 0;
  for (let turn = 0; at < stream.length && turn < 4; turn++) {
    const size = Math.max(1, split[turn % split.length] ?? stream.length);
    socket.write(stream.subarray(at, at + size));
    at += size;
    await new Promise((resolve) => setImmediate(resolve));
  }
  socket.end(stream.subarray(at));
  await closed;
  return seen;
}

t.test('we and node:http agree on where every message ends', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(message, { minLength: 1, maxLength: 4 }), splits, async (messages, split) => {
      const stream = Buffer.from(messages.join(''), 'latin1');
      const ours = readMessages(stream, split);
      const theirs = await nodeMessages(stream, split);
      if (ours.length !== messages.length) throw new Error(`we found ${ours.length} of ${messages.length}`);
      if (JSON.stringify(ours.map((one) => ({ ...one, whole: true }))) !== JSON.stringify(theirs)) {
        throw new Error(`${JSON.stringify(ours)} is not ${JSON.stringify(theirs)}`);
      }
    }),
    { numRuns: 400 },
  );
  t.pass('400 streams');
});

t.test('what is broken, we never read further than node:http', async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(message, { minLength: 1, maxLength: 3 }), breakage, async (messages, fault) => {
      const stream = Buffer.from(broken(messages.join(''), fault), 'latin1');
      const ours = readMessages(stream, [7]);
      const theirs = await nodeMessages(stream, [stream.length]);
      // We are stricter, so we may stop earlier; whatever we accept must be the same message to them, who drop
      // the bodies that they have not passed on when a later message is broken.
      const same = ours.every((one, index) => {
        const { method, target, body, whole } = theirs[index] ?? {
          method: '',
          target: '',
          body: '',
          whole: true,
        };
        return (
          method === one.method &&
          target === one.target &&
          (whole ? body === one.body : one.body.startsWith(body))
        );
      });
      if (!same) {
        throw new Error(`${JSON.stringify(ours)} is not the start of ${JSON.stringify(theirs)}`);
      }
    }),
    { numRuns: 400 },
  );
  t.pass('400 broken streams');
});

t.test('a stream is read the same however it is split', async (t) => {
  fc.assert(
    fc.property(fc.array(message, { minLength: 1, maxLength: 4 }), splits, (messages, split) => {
      const stream = Buffer.from(messages.join(''), 'latin1');
      t.strictSame(readMessages(stream, split), readMessages(stream, [stream.length]));
    }),
    { numRuns: 300 },
  );
});
