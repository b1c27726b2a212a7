import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { appListeners } from '../../../sidecar/telemetry/listening.ts';

async function listen(t: { teardown(done: () => unknown): void }, host: string): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, host, resolve));
  t.teardown(() => server.close());
  return (server.address() as { port: number }).port;
}

t.test('tells a port that is open to all from one on loopback', async (t) => {
  t.same(await appListeners(await listen(t, '127.0.0.1')), { listens: true, exposedOn: [] });
  t.same(await appListeners(await listen(t, '0.0.0.0')), { listens: true, exposedOn: ['0.0.0.0'] });
});

t.test('reads the kernel’s table, IPv6 and mapped addresses too', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'listening-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const head = '  sl  local_address rem_address   st tx_queue rx_queue\n';
  await writeFile(
    join(folder, 'tcp'),
    `${head}   0: 16A810AC:1F91 00000000:0000 0A 00000000:00000000\n` +
      '   1: 0100007F:1F91 00000000:0000 0A 00000000:00000000\n' +
      '   2: 17A810AC:1F91 0100007F:9999 01 00000000:00000000\n',
  );
  await writeFile(
    join(folder, 'tcp6'),
    `${head}   0: 00000000000000000000000000000000:1F91 00000000000000000000000000000000:0000 0A 0:0\n` +
      '   1: 00000000000000000000000001000000:1F91 00000000000000000000000000000000:0000 0A 0:0\n' +
      '   2: 0000000000000000FFFF00000100007F:1F91 00000000000000000000000000000000:0000 0A 0:0\n' +
      '   3: B80D0120000000000000000001000000:1F91 00000000000000000000000000000000:0000 0A 0:0\n',
  );
  t.same(await appListeners(8081, folder), {
    listens: true,
    exposedOn: ['172.16.168.22', '::', '2001:db8:0:0:0:0:0:1'],
  });
  t.same(await appListeners(8082, folder), { listens: false, exposedOn: [] });
  t.same(await appListeners(8081, join(folder, 'nowhere')), { listens: undefined, exposedOn: [] });
});
