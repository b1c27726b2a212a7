import t from 'tap';
import { FieldSection } from '../../../sidecar/http1/field-section.ts';
import { requestText, responseText } from '../../../sidecar/http1/outgoing-message.ts';

const fields = new FieldSection().add('Host', 'npu-worker').add('X-A', 'b');
const lines = 'Host: npu-worker\r\nX-A: b\r\n';
const request = {
  method: 'POST',
  target: '/a?b',
  fields,
  framing: 'none',
  length: 0,
  upgrade: false,
} as const;

t.test('the head of a request, with the framing that it has', async (t) => {
  t.equal(requestText(request), `POST /a?b HTTP/1.1\r\n${lines}\r\n`);
  t.equal(
    requestText({ ...request, framing: 'length', length: 12 }),
    `POST /a?b HTTP/1.1\r\n${lines}Content-Length: 12\r\n\r\n`,
  );
  t.equal(
    requestText({ ...request, framing: 'chunked' }),
    `POST /a?b HTTP/1.1\r\n${lines}Transfer-Encoding: chunked\r\n\r\n`,
  );
  t.equal(
    requestText({ ...request, method: 'GET', upgrade: true }),
    `GET /a?b HTTP/1.1\r\n${lines}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
  );
});

t.test('the head of a response, with the framing that it has', async (t) => {
  for (const framing of ['none', 'length', 'until-close'] as const)
    t.equal(responseText('200 OK', fields, framing, undefined), `HTTP/1.1 200 OK\r\n${lines}\r\n`, framing);
  t.equal(
    responseText('200 OK', fields, 'chunked', 'close'),
    `HTTP/1.1 200 OK\r\n${lines}Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n`,
  );
  t.equal(
    responseText('204 No', fields, 'none', 'keep-alive'),
    `HTTP/1.1 204 No\r\n${lines}Connection: keep-alive\r\n\r\n`,
  );
});
