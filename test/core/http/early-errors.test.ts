import t from 'tap';
import { startTestCore } from '../../support/core-service.ts';
import { RawClient } from '../../support/raw-http.ts';

t.test(
  "what is no request at all gets an error in OpenAI's shape, too, and the connection ends",
  async (t) => {
    const core = await startTestCore(t);
    const cases = [
      ['no HTTP', 'GARBAGE\r\n\r\n', 400, 'invalid_request'],
      [
        'bytes outside ASCII in the path',
        'GET /api/chats/é HTTP/1.1\r\nHost: x\r\n\r\n',
        400,
        'invalid_request',
      ],
      [
        'a head without end',
        `GET / HTTP/1.1\r\nHost: x\r\nX: ${'a'.repeat(20_000)}\r\n\r\n`,
        431,
        'head_too_large',
      ],
      [
        'two lengths',
        'POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n',
        400,
        'invalid_request',
      ],
    ] as const;
    for (const [title, request, status, code] of cases) {
      const client = await RawClient.connect(t, core.service.address.port);
      client.write(request);
      const text = await client.until(() => false);
      t.match(text, `HTTP/1.1 ${status} `, title);
      const body = JSON.parse(text.slice(text.indexOf('\r\n\r\n') + 4));
      t.match(body, { error: { message: String, type: 'invalid_request_error', param: null, code } }, title);
    }
    t.equal((await core.fetch('/health')).status, 200);
  },
);

t.test('a path that can not be decoded is told in the same shape', async (t) => {
  const core = await startTestCore(t);
  for (const path of ['/%zz', '/api/chats/%ff', '/api/files/%']) {
    const response = await core.fetch(path);
    t.equal(response.status, 400, path);
    t.match(
      await response.json(),
      { error: { type: 'invalid_request_error', code: 'invalid_request' } },
      path,
    );
  }
});
