import t from 'tap';
import { choose, parseWanted, type Wanted } from '../../../sidecar/swap/choose.ts';
import { swap } from '../../../sidecar/swap/swap.ts';
import { watchServing } from '../../../sidecar/swap/watch.ts';
import { type FakeHost, fakeHost } from '../../support/fake-systemd.ts';

const metrics = (allowed: number, failed: number) =>
  ['allowed",reason="",code="200', 'denied",reason="upstream-failed",code="502']
    .map((labels, index) => {
      const count = index === 0 ? allowed : failed;
      return `countersign_requests_total{direction="inbound",peer="ai-stack",verdict="${labels}"} ${count}\n`;
    })
    .join('');

async function serving(host: FakeHost): Promise<void> {
  const wanted = parseWanted('logging') as Wanted;
  await swap((found) => choose(wanted, found), { layout: host.layout, say: () => {} });
}

t.test('ends when clearly more calls fail than did with the sidecar before', async (t) => {
  const host = await fakeHost(t, ['0.2.0']);
  await serving(host);
  await host.metrics(metrics(100, 50));
  const read = host.metricsRead();
  const watching = watchServing(host.layout, 60_000, 0.1);
  await read;
  await host.metrics(metrics(200, 90));
  await t.rejects(watching, { name: 'SwapError', message: /does not do as well .* calls failed/ });
});

t.test('as many failures as before are no reason', async (t) => {
  const host = await fakeHost(t, ['0.2.0']);
  await serving(host);
  await host.metrics(metrics(100, 50));
  const read = host.metricsRead();
  const watching = watchServing(host.layout, 1_500, 0.5);
  await read;
  await host.metrics(metrics(200, 150));
  await watching;
});
