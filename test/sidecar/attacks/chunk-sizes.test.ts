import t from 'tap';
import { onHead, rawApp } from '../../support/raw-app.ts';
import { exchange, RawClient } from '../../support/raw-http.ts';
import { startTarget } from './target.ts';
import { hostile, startTwoCallees } from './two-callees.ts';

/** Chunk sizes that are not waited for. */
const sizes = [
  '20000000000000',
  'fffffffffffffff',
  'ffffffffffffffff',
  '0000000000000002',
  `${'0'.repeat(200)}2`,
];

t.test('a request whose chunk is too large is refused at once', async (t) => {
  const { app, inbound } = await startTarget(t);
  for (const size of sizes) {
    const response = await exchange(
      t,
      inbound,
      `POST /api/open HTTP/1.1\r\nHost: npu-worker\r\nTransfer-Encoding: chunked\r\n\r\n${size}\r\nab`,
    );
    t.strictSame([response.status, response.reason], [400, 'malformed-request'], size);
  }
  t.equal(app.requests.length, 0);
});

t.test('an answer whose chunk is too large is broken off at once', async (t) => {
  let size = '';
  const app = await rawApp(t, (socket) =>
    onHead(socket, () =>
      socket.write(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${size}\r\nab\r\n0\r\n\r\n`),
    ),
  );
  const { outbound } = await startTwoCallees(t, { hostile: app, honest: app });
  for (size of sizes) {
    const client = await RawClient.connect(t, outbound);
    client.write(`GET / HTTP/1.1\r\nHost: ${hostile}\r\n\r\n`);
    const text = await client.until((text) => text.includes('"reason"'));
    t.notMatch(text, /\r\n0\r\n/, size);
  }
});
