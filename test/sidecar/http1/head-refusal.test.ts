import t from 'tap';
import { parseRequestHead } from '../../../sidecar/http1/head-parser.ts';
import { hasBareLineEnd, headRefusal, headTooLarge } from '../../../sidecar/http1/head-refusal.ts';
import { assemblyBuffer } from '../../../sidecar/http1/llhttp.ts';

/** What is said of a head that is refused. */
function refused(text: string, limit = 10) {
  const end = assemblyBuffer.write(text, 'latin1');
  const head = parseRequestHead(assemblyBuffer, 0, end, limit);
  return 'error' in head ? headRefusal(head, assemblyBuffer, 0, limit) : undefined;
}

t.test('the reason says what kind of head it was', async (t) => {
  t.match(refused('GET / HTTP/1.2\r\nHost: a\r\n\r\n'), { reason: 'version-not-supported' });
  t.match(refused('FROB / HTTP/1.1\r\nHost: a\r\n\r\n'), { reason: 'not-implemented' });
  t.match(refused('FR(B / HTTP/1.1\r\nHost: a\r\n\r\n'), { reason: 'malformed-request' });
  t.match(refused('GET / HTTP/1.1\r\nHost a\r\n\r\n'), { reason: 'malformed-request' });
  t.match(refused(`GET / HTTP/1.1\r\n${'X: y\r\n'.repeat(11)}\r\n`), {
    reason: 'head-too-large',
    detail: 'The head cannot be served: limits.headers allows 10 fields.',
  });
  t.strictSame(headTooLarge(16384), {
    reason: 'head-too-large',
    detail: 'The head is larger than limits.head, 16384 bytes.',
  });
});

t.test('attack: a line end that can not become a CRLF is found wherever it stands', async (t) => {
  const bare = (text: string, start = 0, end = text.length) =>
    hasBareLineEnd(Buffer.from(text, 'latin1'), start, end);
  for (const text of [
    '\nGET',
    'GET\n',
    'GET\nX',
    'a\r\nb\nc',
    '\rX',
    'GET\rX',
    'a\r\nb\rc',
    'a\r\r\n',
    '\r\n\rX',
  ])
    t.equal(bare(text), true, JSON.stringify(text));
  for (const text of ['', 'GET', 'GET\r', 'GET\r\n', 'a\r\nb\r\n', '\r\n\r', '\r'])
    t.equal(bare(text), false, JSON.stringify(text));
  t.equal(bare('\r\n', 1), true, 'its CR is not a part of the head');
  t.equal(bare('ab\nc', 0, 2), false, 'behind the end');
  t.equal(bare('ab\rc', 0, 3), false, 'what follows the CR is not there yet');
  t.equal(bare('\nab', 1), false, 'before the start');
});
