import t from 'tap';
import { ChunkedDecoder, ChunkedError } from '../../../sidecar/http1/chunked-decoder.ts';

/** Decodes a body that arrives in pieces of so many bytes: its data, or what is wrong with it. */
function decoded(body: string, pieceBytes: number): string {
  let data = '';
  const decoder = new ChunkedDecoder(1_000, (buffer, start, end) => {
    data += buffer.latin1Slice(start, end);
  });
  const bytes = Buffer.from(body, 'latin1');
  try {
    for (let at = 0; at < bytes.length; at += pieceBytes)
      decoder.decode(bytes, at, Math.min(bytes.length, at + pieceBytes));
  } catch (error) {
    if (error instanceof ChunkedError) return error.message;
    throw error;
  }
  return decoder.ended ? data : `${data}…`;
}

const tooLarge = 'a chunk size of more than 15 digits or past 2^53 - 1';

t.test(
  'a chunk size has at most 15 digits and is at most 2^53 - 1, however the bytes are split',
  async (t) => {
    for (const [body, expected] of [
      ['1fffffffffffff\r\nab', 'ab…'],
      ['01fffffffffffff;x=y\r\nab', 'ab…'],
      ['20000000000000\r\nab', tooLarge],
      ['20000000000000', tooLarge],
      ['fffffffffffffff\r\nab', tooLarge],
      ['ffffffffffffffff\r\nab', tooLarge],
      ['000000000000002\r\nab\r\n0\r\n\r\n', 'ab'],
      ['0000000000000002\r\nab\r\n0\r\n\r\n', tooLarge],
      ['0000000000000000\r\n\r\n', tooLarge],
      ['2\r\nab\r\nfffffffffffffff\r\nab', tooLarge],
      ['2;fffffffffffffffffffffffff=ffffffffffffffffffffff\r\nab\r\n0\r\n\r\n', 'ab'],
      [
        '5\r\nfffff\r\n10\r\nffffffffffffffff\r\n0\r\nffffffffffffffffff: fffffffffffffffff\r\n\r\n',
        'f'.repeat(21),
      ],
    ] as const)
      for (const pieceBytes of [1, 2, 3, 7, body.length]) t.equal(decoded(body, pieceBytes), expected, body);
  },
);
