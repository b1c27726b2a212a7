import t from 'tap';
import { startTarget } from '../sidecar/attacks/target.ts';
import { exchange } from '../support/raw-http.ts';
import { privateBytes, residentBytes } from '../support/resident.ts';

const MiB = 1024 * 1024;

t.test('a built sidecar that has served a call takes little memory', async (t) => {
  const { inbound, sidecar } = await startTarget(t);
  const health = 'GET /api/health HTTP/1.1\r\nHost: npu-worker\r\n\r\n';
  t.equal((await exchange(t, inbound, health)).status, 200);
  const own = (await privateBytes(sidecar.child.pid!)) / MiB;
  t.ok(own < 36, `${own.toFixed(1)} MiB of its own`);
  const all = (await residentBytes(sidecar.child.pid!)) / 1e6;
  t.ok(all < 120, `${all.toFixed(1)} MB with the pages of files`);
});
