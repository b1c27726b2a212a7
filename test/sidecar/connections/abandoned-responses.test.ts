import t from 'tap';
import { AbandonedResponses } from '../../../sidecar/connections/abandoned-responses.ts';
import { ok } from '../../support/raw-app.ts';

const drop = (responses: AbandonedResponses, text: string) => {
  const bytes = Buffer.from(`..${text}`, 'latin1');
  return responses.drop(bytes, 2, bytes.length);
};

t.test('ends with the last response, however its bytes are split', async (t) => {
  const text = `${ok('first')}HTTP/1.1 103 Early Hints\r\n\r\n${ok('')}HTTP/1.1 204 No Content\r\n\r\n`;
  for (let size = 1; size <= text.length; size++) {
    const responses = new AbandonedResponses(['GET', 'GET', 'GET']);
    for (let at = 0; at < text.length; at += size) {
      const isLast = at + size >= text.length;
      const result = drop(responses, text.slice(at, at + size));
      if (result !== (isLast ? 'ended' : 'more'))
        t.fail(`${result} after ${at + size} bytes, ${size} at a time`);
    }
  }
  t.pass();
});

t.test('a response to HEAD has no body, whatever its length says', async (t) => {
  const responses = new AbandonedResponses(['HEAD']);
  t.equal(drop(responses, 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n'), 'ended');
});

for (const [what, text] of [
  ['unsolicited bytes behind the last response', `${ok()}HTTP/1.1`],
  ['a body whose end does not show', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n'],
  ['a connection that ends behind the response', ok('ok', 'Connection: close\r\n')],
  ['a protocol that no one asked for', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n'],
  ['what is no response', 'SSH-2.0-OpenSSH\r\n\r\n'],
  ['more than a new connection would cost', `HTTP/1.1 200 OK\r\nX: ${'x'.repeat(128 * 1024)}`],
] as const)
  t.test(`no further request meets ${what}`, async (t) => {
    t.equal(drop(new AbandonedResponses(['GET']), text), 'unusable');
  });
