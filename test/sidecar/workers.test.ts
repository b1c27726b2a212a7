import { join } from 'node:path';
import t from 'tap';
import { loadFleet } from '../../sidecar/config/fleet.ts';
import { exchange } from '../support/raw-http.ts';
import { freePorts, launchSidecar, startSidecar } from '../support/sidecar-process.ts';
import { startTarget } from './attacks/target.ts';

interface Row {
  readonly verdict: string;
  readonly reason: string;
  readonly count: number;
}

t.test('two workers share one replay memory, and count together', async (t) => {
  const target = await startTarget(t, 'enforcing', 'workers: 2\n');
  const requests = Array.from({ length: 60 }, () => target.signed().bytes);
  // Each on a connection of its own: the kernel spreads them over both workers.
  const first = await Promise.all(requests.map((bytes) => exchange(t, target.inbound, bytes)));
  t.ok(first.every(({ status }) => status === 200));
  for (let again = 0; again < 3; again++) {
    const responses = await Promise.all(requests.map((bytes) => exchange(t, target.inbound, bytes)));
    t.ok(
      responses.every(({ reason }) => reason === 'replayed'),
      'whichever worker is asked',
    );
  }
  t.equal(target.app.requests.length, 60);
  const status = (await (await fetch(`http://127.0.0.1:${target.admin}/status`)).json()) as {
    workers: number;
  };
  t.equal(status.workers, 2);
  const { observations } = (await (await fetch(`http://127.0.0.1:${target.admin}/observed`)).json()) as {
    observations: Row[];
  };
  const counted = (reason: string) =>
    observations.filter((row) => row.reason === reason).reduce((sum, row) => sum + row.count, 0);
  t.equal(counted(''), 60);
  t.equal(counted('replayed'), 180);
});

t.test('the memory of all workers is handed over', async (t) => {
  const target = await startTarget(t, 'logging', 'workers: 2\n');
  const requests = Array.from({ length: 20 }, () => target.signed().bytes);
  await Promise.all(requests.map((bytes) => exchange(t, target.inbound, bytes)));
  const { folder, inbound, outbound, admin, app } = target;
  const next = await launchSidecar(t, {
    phase: 'enforcing',
    folder: join(folder, 'npu-worker'),
    service: 'npu-worker',
    ports: { inbound, outbound, admin },
    app: app.port,
    further: 'workers: 2\n',
  });
  await next.said('waiting for the state lock');
  t.equal(await target.sidecar.stop(), 0);
  await next.said('ready');
  const again = await Promise.all(requests.map((bytes) => exchange(t, inbound, bytes)));
  t.ok(again.every(({ reason }) => reason === 'replayed'));
});

t.test('a port that is taken ends all of it, with one clear line', async (t) => {
  const target = await startTarget(t);
  const [outbound, admin] = (await freePorts(2)) as [number, number];
  const { services } = await loadFleet(join(target.folder, 'fleet.yaml'));
  const inbound = services.get('main-backend')?.inbound as number;
  const second = await launchSidecar(t, {
    phase: 'enforcing',
    folder: join(target.folder, 'main-backend'),
    service: 'main-backend',
    ports: { inbound, outbound: target.outbound, admin },
    app: 2,
    further: 'workers: 2\n',
  });
  t.equal((await second.exited).code, 78);
  t.match(second.stderr, /EADDRINUSE.*stop what listens there/);
  await startSidecar(t, {
    phase: 'enforcing',
    folder: join(target.folder, 'main-backend'),
    service: 'main-backend',
    ports: { inbound, outbound, admin },
    app: 2,
  });
});
