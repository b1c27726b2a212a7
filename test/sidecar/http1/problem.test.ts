import t from 'tap';
import { problem } from '../../../sidecar/http1/problem.ts';

t.test('a refusal as a problem, and as fields', async (t) => {
  const { status, response, body } = problem(
    { reason: 'not-authorized', detail: 'No rule allows it.' },
    'r-1',
  );
  t.equal(status, 403);
  t.match(response, { statusAndPhrase: '403 Forbidden', body: 'length', length: body.length });
  t.strictSame(Object.keys(JSON.parse(body)), ['type', 'title', 'status', 'detail', 'reason', 'request_id']);
  t.match(JSON.parse(body), {
    type: 'urn:countersign:problem:not-authorized',
    status: 403,
    detail: 'No rule allows it.',
    reason: 'not-authorized',
    request_id: 'r-1',
  });
  t.equal(
    response.fields.http1Lines,
    `Content-Type: application/problem+json\r\nContent-Length: ${body.length}\r\nX-Service-Refusal: not-authorized\r\nX-Request-ID: r-1\r\n`,
  );
});

t.test('only a 401 asks for a signature', async (t) => {
  const { response } = problem({ reason: 'missing-signature', detail: '' }, 'r');
  t.match(response.fields.http1Lines, /\r\nWWW-Authenticate: Signature realm="countersign"\r\n/);
});

t.test('attack: text from strangers leaves as ASCII', async (t) => {
  const detail = 'a\u00e9\u202e\u001b[31m\u{1f600}\r\nX: y';
  const { body, response } = problem({ reason: 'ambiguous-path', detail }, 'r');
  t.match(body, /^[ -~]+$/);
  t.match(body, /a\\u00e9\\u202e\\u001b\[31m\\ud83d\\ude00\\r\\nX: y/);
  t.equal((JSON.parse(body) as { detail: string }).detail, detail);
  t.match(response.fields.http1Lines, new RegExp(`Content-Length: ${Buffer.byteLength(body)}\r\n`));
});
