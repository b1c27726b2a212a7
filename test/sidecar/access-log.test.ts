import { readFile, rename, stat } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { until } from '../support/core-fleet.ts';
import { httpCall } from '../support/http-call.ts';
import { RawClient } from '../support/raw-http.ts';
import { startPair } from './pair.ts';

t.test('one line a call of every worker, over rotation and to the last one before the end', async (t) => {
  const app = createServer((_request, response) => response.end('ok')).listen(0, '127.0.0.1');
  t.teardown(() => app.close());
  await new Promise((resolve) => app.once('listening', resolve));
  const { port } = app.address() as AddressInfo;
  const pair = await startPair(t, port, 'enforcing', 'workers: 2\ntelemetry: { access_log: access.jsonl }');
  const file = join(pair.folder, 'npu-worker', 'access.jsonl');
  const lines = async (path = file) => {
    const text = await readFile(path, 'latin1').catch(() => '');
    return text
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>);
  };
  const call = (target: string) =>
    httpCall(pair.outbound, { target, headers: { host: 'npu-worker', 'x-request-id': target.slice(1) } });
  for (let i = 0; i < 20; i++) t.equal((await call(`/call-${i}`)).status, 200);
  const client = await RawClient.connect(t, pair.inbound);
  client.write('GET /%1b31m HTTP/1.1\r\nHost: npu-worker\r\n\r\n');
  t.equal((await client.response()).status, 401);
  await until(async () => (await lines()).length === 21);
  t.equal((await stat(file)).mode & 0o777, 0o600);
  const [line, denied] = [
    (await lines()).find((each) => each.request_id === 'call-7'),
    (await lines()).find(({ verdict }) => verdict === 'denied'),
  ];
  t.match(line, {
    time: /^\d{4}-\d\d-\d\dT.*Z$/,
    direction: 'inbound',
    caller: 'main-backend',
    callee: 'npu-worker',
    method: 'GET',
    path: '/call-7',
    status: 200,
    verdict: 'allowed',
    rule: 'main-backend: * /**',
    disposition: 'forwarded',
    kid: /^main-backend\/\d+$/,
    sealed: true,
    ms: Number,
    first_byte_ms: Number,
    overhead_ms: Number,
  });
  t.match(denied, {
    direction: 'inbound',
    reason: 'missing-signature',
    disposition: 'refused',
    status: 401,
    path: '/%1b31m',
  });
  t.notMatch(await readFile(file, 'latin1'), /[^\x20-\x7e\n]/);

  await rename(file, `${file}.1`);
  pair.callee.child.kill('SIGHUP');
  await until(async () => {
    await call('/after');
    return (await lines()).length > 0;
  });
  await call('/last');
  t.equal(await pair.callee.stop(), 0);
  const [older, newer] = [await lines(`${file}.1`), await lines()];
  t.equal(newer.at(-1)?.path ?? older.at(-1)?.path, '/last', 'what was under way at the end is written');
});
