import t from 'tap';
import { FleetWatch, type Reading } from '../../../sidecar/console/fleet-watch.ts';
import { focus } from '../../../sidecar/console/focus.ts';
import { keysPage } from '../../../sidecar/console/keys-page.ts';
import { matrixPage } from '../../../sidecar/console/matrix-page.ts';
import { readinessOf } from '../../../sidecar/console/readiness-page.ts';
import { rolloutPage } from '../../../sidecar/console/rollout-page.ts';
import type { Sources } from '../../../sidecar/console/sources.ts';
import { spanText, summaryOf } from '../../../sidecar/console/summary.ts';
import { hosts } from '../../../sidecar/fleet-view/hosts.ts';
import { type DemoOptions, demoFleet } from '../../support/demo-fleet.ts';
import { largeFleet } from '../../support/large-console-fleet.ts';

async function reading(t: { teardown(done: () => unknown): void }, sources: Sources): Promise<Reading> {
  const watch = new FleetWatch({
    sources,
    onError: (error) => {
      throw error;
    },
  });
  t.teardown(() => watch.close());
  return watch.latest();
}

t.test('one sentence says how the fleet is', async (t) => {
  const sentence = async (options: DemoOptions) => {
    const found = await reading(t, await demoFleet(t, options));
    const rows = hosts(found.previous, found.current, found.policy.fleet).hosts;
    return summaryOf(rows, readinessOf(found)).sentence;
  };
  const names = ['main-backend', 'frontend', 'npu-worker', 'redis-stack', 'ai-stack', 'browser-service'];
  t.equal(
    await sentence({ silent: ['redis-stack'] }),
    '5 of 6 hosts are logging; ready to enforce in 3 h 12 min; 2 things are in the way',
  );
  t.match(
    await sentence({}),
    /^All 6 hosts are logging; ready to enforce in 3 h 12 min; 1 thing is in the way$/,
  );
  const enforcing = Object.fromEntries(names.map((name) => [name, 'enforcing' as const]));
  t.match(await sentence({ phases: enforcing }), /^All 6 hosts are enforcing; \d+ things? needs? a look$/);
  t.match(
    await sentence({ phases: { 'ai-stack': 'enforcing' }, silent: ['frontend'] }),
    /^4 of 6 hosts are logging, 1 enforcing; ready to enforce in /,
  );
  t.strictSame([0, 59, 60, 3_599, 3_600, 11_520, 11_521].map(spanText), [
    '0 s',
    '59 s',
    '1 min',
    '1 h',
    '1 h',
    '3 h 12 min',
    '3 h 13 min',
  ]);
});

t.test('a key that is being replaced shows its generations and steps', async (t) => {
  const { services, silent } = keysPage(await reading(t, await demoFleet(t, { silent: ['frontend'] })));
  t.strictSame(silent, ['frontend@172.16.168.21']);
  t.match(
    services.find(({ service }) => service === 'npu-worker'),
    {
      generations: [
        { kid: 'npu-worker/4', state: 'pending', signed_with_by: [] },
        {
          kid: 'npu-worker/3',
          state: 'active',
          signed_with_by: ['npu-worker@172.16.168.22'],
          first_seen: String,
        },
      ],
      rotation: {
        to: 'npu-worker/4',
        steps: [
          { name: 'staged', done: 3, of: 4 },
          { name: 'switched', done: 0, of: 1 },
          { name: 'retired', done: 0, of: 4 },
        ],
      },
    },
  );
  t.match(
    services.find(({ service }) => service === 'ai-stack'),
    { generations: [{ state: 'active' }], rotation: undefined },
  );
});

t.test('a rollout shows bake windows and swaps back', async (t) => {
  const page = rolloutPage(
    await reading(t, await demoFleet(t, { phases: { 'ai-stack': 'enforcing' }, silent: ['frontend'] })),
  );
  t.strictSame(page.unreachable, ['frontend@172.16.168.21']);
  const [host, ...others] = page.hosts.filter(({ service }) => service === 'ai-stack');
  t.strictSame(others, []);
  t.equal(Date.parse(host?.bake_until ?? '') - Date.parse(host?.enforcing_since ?? ''), 24 * 3_600_000);
  t.equal(host?.rollbacks.length, 1);
  t.strictSame(
    host?.spans.map(({ phase }) => phase),
    ['logging', 'enforcing', 'logging', 'enforcing'],
  );
  t.match(
    page.hosts.find(({ service }) => service === 'npu-worker'),
    { bake_until: undefined, rollbacks: [] },
  );
  t.strictSame(
    page.builds.map(({ phase, hosts }) => [phase, hosts]),
    [
      ['logging', 4],
      ['enforcing', 1],
    ],
  );
});

t.test('the matrix shows what is used, denied and missing', async (t) => {
  const page = matrixPage(await reading(t, await demoFleet(t)), undefined);
  const cell = (caller: string, callee: string) =>
    page.cells.find((each) => each.caller === caller && each.callee === callee);
  t.match(cell('main-backend', 'npu-worker'), { state: 'used', rules: 8, used: 2, denied: 0 });
  t.match(cell('frontend', 'npu-worker'), { state: 'not-permitted', rules: 0, denied: 16 });
  t.match(cell('ai-stack', 'npu-worker'), { state: 'never-seen', rules: 2, used: 0 });
  t.match(page.yaml, /npu-worker:\n {4}callers:\n {6}frontend:\n {8}- GET \/api\/status # 16 calls/);
});

t.test('a large fleet is shown around one service at a time', async (t) => {
  const found = await reading(t, largeFleet(200, 50));
  const whole = focus(found, undefined);
  t.match(whole, { around: /^service-/, edges_total: 2_000 });
  t.ok(whole.edges.length <= 150);
  const one = focus(found, 'service-0007');
  t.ok(one.edges.length > 0);
  t.ok(one.edges.every(({ caller, callee }) => caller === 'service-0007' || callee === 'service-0007'));
  t.equal(focus(found, '<script>').around, whole.around, 'what is no service is not asked for');
});
