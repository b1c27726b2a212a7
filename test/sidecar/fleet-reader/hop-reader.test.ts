import { join } from 'node:path';
import t from 'tap';
import { type Fleet, loadFleet } from '../../../sidecar/config/fleet.ts';
import { HopReader } from '../../../sidecar/fleet-reader/hop-reader.ts';
import { KeySource } from '../../../sidecar/reload/key-source.ts';
import { exchange } from '../../support/raw-http.ts';
import { simulatedSidecars } from '../../support/simulated-sidecars.ts';
import { startTarget } from '../attacks/target.ts';

const status = (service: string, host: string) =>
  JSON.stringify({
    service,
    host,
    phase: 'logging',
    version: '1',
    build: 'b',
    matrix: 'm',
    fleet: 'f',
    keys: { inbound: {}, outbound: {} },
    uptime_seconds: 1,
    ready: true,
    workers: 1,
  });
const documents = (service: string, host: string, name: string) =>
  name === 'status' ? status(service, host) : name === 'denials' ? '{"denials":[]}' : '';

t.test(
  'reads a real sidecar as an operator, again on the same connection, and names those that it cannot read',
  async (t) => {
    const target = await startTarget(t, 'enforcing', '', undefined, 'operators: [control]\n', ['control']);
    await exchange(t, target.inbound, target.signed({}).bytes);
    const fleet = await loadFleet(join(target.folder, 'fleet.yaml'));
    const { current: keyring } = await KeySource.open(join(target.folder, 'control/keyring.json'));
    const reader = new HopReader(fleet, keyring);
    t.teardown(() => reader.close());
    const wanted = ['status', 'observed', 'denials', 'metrics'] as const;
    for (const round of [1, 2]) {
      const states = await reader.read(wanted);
      t.match(
        states,
        [
          {
            from: `npu-worker at 127.0.0.1:${target.inbound}`,
            status: { service: 'npu-worker', host: '127.0.0.1', phase: 'enforcing' },
            observed: { observations: [{ caller: 'main-backend', count: 1 }] },
            denials: { denials: [] },
            metrics: { calls: [{ peer: 'main-backend', count: 1 }] },
          },
          { target: { service: 'main-backend' }, problem: /ECONNREFUSED/, status: undefined },
          { target: { service: 'ai-stack', host: '127.0.0.2' }, problem: /ECONNREFUSED/ },
        ],
        `round ${round}`,
      );
      t.equal(states.length, 3, 'an operator that only calls has no sidecar to read');
      t.equal(states[0]?.status?.hops.find(({ peer }) => peer === 'control')?.handshakes.proven, 1);
    }
    const stranger = (await KeySource.open(join(target.folder, 'main-backend/keyring.json'))).current;
    const refused = new HopReader(fleet, stranger);
    t.teardown(() => refused.close());
    t.match(await refused.read(['status']), [
      { problem: 'HTTP 403 (not-authorized); its fleet.yaml must list main-backend under operators' },
      {},
      {},
    ]);
  },
);

t.test('reads 600 hosts in less than 10 s, a bounded number at once', async (t) => {
  const { fleet, keyring, seen } = await simulatedSidecars(t, 600, documents);
  const reader = new HopReader(fleet, keyring);
  t.teardown(() => reader.close());
  const startedMs = performance.now();
  const states = await reader.read(['status', 'denials', 'metrics']);
  const tookMs = performance.now() - startedMs;
  t.ok(tookMs < 10_000, `${Math.round(tookMs)} ms`);
  t.equal(states.filter(({ status, problem }) => status !== undefined && problem === undefined).length, 600);
  t.equal(states[599]?.status?.host, '127.1.2.87', 'in the order of fleet.yaml');
  t.equal(seen.requests, 1800);
  t.equal(seen.connections, 600);
  t.ok(seen.most <= 64, `${seen.most} at once`);
});

t.test('documents past the limits are left out, and said to be', async (t) => {
  const long = JSON.stringify({ denials: [], padding: 'x'.repeat(10_000) });
  const { fleet, keyring } = await simulatedSidecars(t, 4, (service, host, name) =>
    service === 'service-3' ? '{}' : name === 'denials' ? long : status(service, host),
  );
  const reader = (limits: object) => {
    const made = new HopReader(fleet, keyring, { lanes: 1, ...limits });
    t.teardown(() => made.close());
    return made.read(['denials']);
  };
  t.match(await reader({ documentBytes: 5_000 }), [{ problem: /more than .* MiB/ }, {}, {}, {}]);
  t.match(
    await reader({ totalBytes: 21_000 }),
    [
      { problem: undefined },
      { problem: undefined },
      { problem: /larger than/ },
      { problem: /its \/denials cannot be read: denials: / },
    ].slice(0, 3),
  );
});

t.test('a sidecar that hangs, one without a key and one that only calls hold up no other', async (t) => {
  const { fleet, keyring } = await simulatedSidecars(t, 2, (service, host) => status(service, host));
  const services = new Map(fleet.services);
  services.set('batch', { name: 'batch', hosts: ['127.0.0.8'] });
  services.set('new', { name: 'new', hosts: ['127.1.0.0'], inbound: 1, app: 2 });
  const larger: Fleet = { ...fleet, services };
  const reader = new HopReader(larger, keyring, { connectMs: 200 });
  t.teardown(() => reader.close());
  t.match(await reader.read(['status']), [
    { status: {} },
    { status: {} },
    { problem: 'the keyring of control has no pair key for new on 127.1.0.0' },
    { target: { service: 'batch' }, problem: /it only calls others/ },
  ]);
});
