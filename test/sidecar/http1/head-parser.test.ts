import t from 'tap';
import { parseRequestHead, reparsed } from '../../../sidecar/http1/head-parser.ts';
import { assemblyBuffer } from '../../../sidecar/http1/llhttp.ts';

t.test('a head that was sent is read again as it was', async (t) => {
  const head = reparsed('POST /a?b HTTP/1.1\r\nHost: npu-worker\r\nContent-Length: 3\r\n\r\n');
  t.match(head, { method: 'POST', path: '/a', query: '?b', body: 'length', contentLength: 3 });
  t.equal(head.field('host'), 'npu-worker');
});

t.test('what was never sent is no head', async (t) => {
  t.throws(() => reparsed('POST /a HTTP/1.1\r\nHost a\r\n\r\n'), /that was sent can't be parsed: /);
  t.throws(
    () => reparsed('GET /a HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n'),
    /that was sent is not well framed: /,
  );
});

t.test('a head may have as many fields as are allowed, and no more', async (t) => {
  const parsed = (fields: number) => {
    const text = `GET / HTTP/1.1\r\n${'X: y\r\n'.repeat(fields)}\r\n`;
    return parseRequestHead(assemblyBuffer, 0, assemblyBuffer.write(text, 'latin1'), 5);
  };
  t.notOk('error' in parsed(5));
  t.ok('error' in parsed(6));
});
