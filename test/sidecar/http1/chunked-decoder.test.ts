import t from 'tap';
import { ChunkedDecoder, ChunkedError } from '../../../sidecar/http1/chunked-decoder.ts';

/** What a chunked body comes to when so many bytes of it arrive at once. */
function decoded(text: string, piece: number) {
  let body = '';
  const decoder = new ChunkedDecoder(16_384, (buffer, start, end) => {
    body += buffer.latin1Slice(start, end);
  });
  const bytes = Buffer.from(text, 'latin1');
  let at = 0;
  while (at < bytes.length && !decoder.ended) {
    const some = bytes.subarray(at, at + piece);
    at += decoder.decode(some, 0, some.length);
  }
  return { body, ended: decoder.ended, left: bytes.length - at, trailers: [...(decoder.trailers ?? [])] };
}

const whole =
  '5\r\nhello\r\n6;a=b\r\n world\r\n0\r\nX-Sum: 1 2\r\nX-More:  a \r\nX-Sum:3\r\nX-Empty:\r\n\r\nGET';

t.test('body, trailers and end are the same however the bytes arrive', async (t) => {
  for (const piece of [1, 2, 3, 5, 7, 16, whole.length])
    t.strictSame(
      decoded(whole, piece),
      {
        body: 'hello world',
        ended: true,
        left: 3,
        trailers: [
          ['x-sum', '1 2, 3'],
          ['x-more', 'a'],
          ['x-empty', ''],
        ],
      },
      `${piece} at once`,
    );
});

t.test('a body without trailers has none', async (t) => {
  t.strictSame(decoded('0\r\n\r\n', 1), { body: '', ended: true, left: 0, trailers: [] });
});

t.test('attack: what is not chunked as RFC 9112 says ends in an error', async (t) => {
  for (const text of [
    '5\nhello\r\n0\r\n\r\n',
    'g\r\n',
    '5\r\nhello0\r\n\r\n',
    '-1\r\n',
    ' 5\r\nhello\r\n',
    '0x5\r\nhello\r\n',
  ])
    for (const piece of [1, text.length])
      t.throws(() => decoded(text, piece), ChunkedError, JSON.stringify(text));
});
