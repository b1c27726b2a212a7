import t from 'tap';
import { exchange, RawClient } from '../../support/raw-http.ts';
import { startTarget } from '../attacks/target.ts';

t.test('a body that comes later goes to the app behind its own head', async (t) => {
  const { inbound, signed, app } = await startTarget(t);
  const body = 'the body of this call';
  const call = (tenant: string) =>
    signed({ method: 'POST', target: '/api/process', body, fields: [['X-Tenant', tenant]] }).bytes;
  for (const missing of [body.length, 7, 0]) {
    const bytes = call(`late-${missing}`);
    const slow = await RawClient.connect(t, inbound);
    slow.write(bytes.subarray(0, bytes.length - missing));
    // Meanwhile the thread parses other heads.
    for (let i = 0; i < 3; i++) t.equal((await exchange(t, inbound, call(`other-${i}`))).status, 200);
    slow.write(bytes.subarray(bytes.length - missing));
    t.equal((await slow.response()).status, 200);
    const got = app.requests.find(({ head }) => head.includes(`X-Tenant: late-${missing}\r\n`));
    t.match(got?.head, /^POST \/api\/process HTTP\/1\.1\r\n[\s\S]*\r\nX-Service-ID: main-backend\r\n/);
    t.equal(got?.body.toString('latin1'), body);
  }
});

t.test('a body that is not the signed one never reaches the app, whenever it comes', async (t) => {
  const { inbound, signed, app } = await startTarget(t);
  for (const missing of [0, 3]) {
    const { bytes } = signed({ method: 'POST', target: '/api/process', body: 'a body' });
    bytes[bytes.length - 1]! ^= 1;
    const client = await RawClient.connect(t, inbound);
    client.write(bytes.subarray(0, bytes.length - missing));
    t.equal((await exchange(t, inbound, signed().bytes)).status, 200);
    client.write(bytes.subarray(bytes.length - missing));
    t.equal((await client.response()).reason, 'digest-mismatch');
  }
  t.strictSame(
    app.requests.map(({ head }) => head.slice(0, head.indexOf(' '))),
    ['GET', 'GET'],
  );
});
