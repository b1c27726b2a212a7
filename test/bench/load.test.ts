import { join } from 'node:path';
import t from 'tap';
import { PreparedHeads } from '../../bench/load/prepared-heads.ts';
import { Signer, usualCall } from '../../bench/load/signer.ts';
import { benchIdentity } from '../../bench/peers/fleet.ts';
import { start } from '../../bench/processes.ts';
import { RawClient } from '../support/raw-http.ts';

for (const dialect of ['rfc9421', 'fields'] as const)
  t.test(
    `heads that were signed before a run are sent once each, and then fresh ones (${dialect})`,
    async (t) => {
      const heads = new PreparedHeads(new Signer(dialect, benchIdentity(), usualCall));
      heads.prepare(3);
      const now = performance.now();
      const taken = [now, now, now + 1_000_000, now, now, now].map((at) => heads.next(at));
      for (const head of taken) {
        t.equal(head.length, usualCall.headBytes);
        t.equal(head.split('\r\n').length - 3, usualCall.fields);
      }
      const nonces = taken.map((head) => /(?:nonce="|X-Nonce: )([\w-]{22})/.exec(head)?.[1]);
      t.equal(new Set(nonces).size, taken.length);
    },
  );

t.test('the app behind the peers answers as HTTP wants it, however its requests come', async (t) => {
  const app = await start(process.execPath, [join(import.meta.dirname, '../../bench/load/upstream.ts')], {
    cores: undefined,
    ready: (line) => line.startsWith('ready '),
  });
  t.teardown(() => app.stop());
  const client = await RawClient.connect(t, Number(app.said.slice('ready '.length)));
  const get = (name: string) => `GET /api/status/${name} HTTP/1.1\r\nHost: a\r\n\r\n`;
  const length = async () => (await client.response()).body.length;
  client.write(get('7'));
  const usual = await length();
  t.ok(usual > 80);
  client.write(get('bytes-1024'));
  t.equal(await length(), 1024);
  client.write(get('7') + get('bytes-9') + get('8'));
  t.same([await length(), await length(), await length()], [usual, 9, usual]);
  client.write(get('bytes-77').slice(0, 20));
  client.write(get('bytes-77').slice(20));
  t.equal(await length(), 77);
  const posted = `POST /api/open HTTP/1.1\r\nHost: a\r\nContent-Length: 70000\r\n\r\n${'u'.repeat(70_000)}`;
  client.write(posted + get('bytes-5'));
  t.same([await length(), await length()], [usual, 5]);
  client.write(get('echo'));
  t.equal((await client.response()).body.toString(), 'GET /api/status/echo HTTP/1.1\r\nHost: a');
});
