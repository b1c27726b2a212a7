import t from 'tap';
import { JoinedRecords } from '../../../sidecar/connections/joined-records.ts';
import { readBuffer } from '../../../sidecar/http1/llhttp.ts';

/** Reads a record, as a socket does, `at` bytes into a buffer. */
function read(buffer: Buffer, at: number, text: string): Buffer {
  buffer.latin1Write(text, at);
  return at === 0 ? buffer : buffer.subarray(at);
}

const textOf = (filled: { buffer: Buffer; length: number } | undefined) =>
  filled?.buffer.latin1Slice(0, filled.length);

t.test('a record outside of a body is used at once', async (t) => {
  const records = new JoinedRecords();
  const joined = records.add(read(readBuffer, 0, 'head'), 4, undefined);
  t.match(joined, { step: 'use', length: 4 });
  t.equal(joined.buffer, readBuffer, 'from the buffer that it was read into');
  t.equal(records.take(), undefined);
});

t.test('records of a body wait for the end of the turn, one behind the other', async (t) => {
  const records = new JoinedRecords();
  const body = Buffer.alloc(16);
  t.match(records.add(read(body, 0, 'abcd'), 4, body), { step: 'wait', length: 4, isFirst: true });
  t.match(records.add(read(body, 4, 'efg'), 3, body), { step: 'wait', length: 7, isFirst: false });
  const taken = records.take();
  t.equal(textOf(taken), 'abcdefg');
  t.equal(taken?.buffer, body, 'a collected body knows its own memory again');
  t.equal(records.take(), undefined);
});

t.test('a full buffer is used at once', async (t) => {
  const records = new JoinedRecords();
  const body = Buffer.alloc(8);
  records.add(read(body, 0, 'abcd'), 4, body);
  const joined = records.add(read(body, 4, 'efgh'), 4, body);
  t.equal(joined.step, 'use');
  t.equal(textOf(joined), 'abcdefgh');
  t.equal(records.take(), undefined);
});

t.test('what is read behind a piece that was taken goes to where the body is wanted next', async (t) => {
  const records = new JoinedRecords();
  const first = Buffer.alloc(16);
  const second = Buffer.alloc(16);
  records.add(read(first, 0, 'abcd'), 4, first);
  records.take();
  // The socket reads on in the first buffer, which is still being written from.
  const joined = records.add(read(first, 4, 'efgh'), 4, second);
  t.match(joined, { step: 'wait', isFirst: true });
  t.equal(joined.buffer, second);
  t.equal(first.latin1Slice(0, 4), 'abcd', 'and leaves alone what was taken');
  t.equal(textOf(records.take()), 'efgh');
});

t.test('the next head that was read behind a body moves to where heads are parsed', async (t) => {
  const records = new JoinedRecords();
  const body = Buffer.alloc(16);
  records.add(read(body, 0, 'abcd'), 4, body);
  records.take();
  const joined = records.add(read(body, 4, 'GET '), 4, undefined);
  t.equal(joined.step, 'use');
  t.equal(joined.buffer, readBuffer);
  t.equal(textOf(joined), 'GET ');
});

t.test('a record that is longer than what is missing of a body is used as it is', async (t) => {
  const records = new JoinedRecords();
  const old = Buffer.alloc(16);
  records.add(read(old, 0, 'a'), 1, old);
  records.take();
  const room = Buffer.alloc(2);
  const joined = records.add(read(old, 1, 'bcdef'), 5, room);
  t.equal(joined.step, 'use');
  t.equal(joined.buffer, readBuffer);
  t.equal(textOf(joined), 'bcdef');
});
