import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { observedSchema, type Phase } from '../../../sidecar/telemetry/documents.ts';
import { ObservedStore } from '../../../sidecar/telemetry/observed-store.ts';
import { Telemetry } from '../../../sidecar/telemetry/telemetry.ts';
import { callRecord, deniedRecord, strangerRecord } from '../../support/call-record.ts';
import { memoryLogger } from '../../support/log-lines.ts';

const start = Date.parse('2026-11-23T00:00:00Z');
const hour = 3_600_000;

interface Scope {
  teardown(done: () => unknown): void;
}

async function stateDirectory(t: Scope): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'observed-'));
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

/** A sidecar's telemetry as far as these tests need it: one that counts and one that stores. */
async function sidecar(t: Scope, directory: string, clock: { now: number }, phase: Phase = 'logging') {
  const { logger, lines, logged } = memoryLogger();
  const now = () => clock.now;
  const telemetry = new Telemetry({ service: 'npu-worker', peers: ['main-backend'], logger, now });
  t.teardown(() => telemetry.close());
  return { telemetry, lines, logged, store: await ObservedStore.open({ directory, phase, logger, now }) };
}

t.test('counts, first calls and since survive a restart and a change of phase', async (t) => {
  const directory = await stateDirectory(t);
  const clock = { now: start };
  const one = await sidecar(t, directory, clock);
  one.telemetry.record(callRecord());
  clock.now = start + hour;
  await one.store.close(one.telemetry.snapshot());

  clock.now = start + 3 * hour;
  const two = await sidecar(t, directory, clock, 'enforcing');
  two.telemetry.record(callRecord({ path: '/api/status/77', skewSeconds: 2.4 }));
  clock.now++;
  two.telemetry.record(deniedRecord());
  clock.now = start + 5 * hour;
  t.match(two.store.document(two.telemetry.snapshot()), {
    since: '2026-11-23T00:00:00.000Z',
    phase: 'enforcing',
    recorded: [
      { phase: 'logging', from: '2026-11-23T00:00:00.000Z', to: '2026-11-23T01:00:00.000Z' },
      { phase: 'enforcing', from: '2026-11-23T03:00:00.000Z', to: '2026-11-23T05:00:00.000Z' },
    ],
    observations: [
      {
        caller: 'main-backend',
        method: 'GET',
        path: '/api/status/*',
        example: '/api/status/42',
        verdict: 'allowed',
        reason: '',
        count: 2,
        first: '2026-11-23T00:00:00.000Z',
        last: '2026-11-23T03:00:00.000Z',
      },
      { method: 'DELETE', verdict: 'denied', reason: 'not-authorized', count: 1 },
    ],
    skew: [{ caller: 'main-backend', callee: 'npu-worker', count: 3, min_seconds: 0.4, max_seconds: 2.4 }],
  });
});

t.test('in a swap no call is lost: what the old process counts while it drains is added later', async (t) => {
  const directory = await stateDirectory(t);
  const clock = { now: start };
  const old = await sidecar(t, directory, clock);
  old.telemetry.record(callRecord());
  const handedOver = old.store.handOver(old.telemetry.snapshot());
  old.telemetry.record(callRecord());
  await handedOver;

  const next = await sidecar(t, directory, clock, 'enforcing');
  next.telemetry.record(callRecord());
  await next.store.save(next.telemetry.snapshot());
  old.telemetry.record(callRecord());
  old.telemetry.record(strangerRecord());
  await old.store.save(old.telemetry.snapshot());
  t.match(
    JSON.parse(await readFile(join(directory, 'observed.json'), 'utf8')).observations,
    [{ count: 2 }],
    'after the hand-over the old process does not touch the file of the new one',
  );
  await old.store.close(old.telemetry.snapshot());

  await next.store.close(next.telemetry.snapshot());
  const file = observedSchema.parse(JSON.parse(await readFile(join(directory, 'observed.json'), 'utf8')));
  t.same(file.observations.map(({ caller, claimed, count }) => ({ caller, claimed, count })).sort(), [
    { caller: 'main-backend', claimed: undefined, count: 4 },
    { caller: undefined, claimed: 'main-backend', count: 1 },
  ]);
  t.same(await readdir(directory), ['observed.json'], 'nothing is left lying');
  t.equal((await stat(join(directory, 'observed.json'))).mode & 0o777, 0o600);
});

t.test('the age of a key counts from when this sidecar first had it, over restarts', async (t) => {
  const directory = await stateDirectory(t);
  const clock = { now: start };
  const one = await sidecar(t, directory, clock);
  t.same(one.store.keyAges(['a/1', 'b/1']), [
    { kid: 'a/1', seconds: 0 },
    { kid: 'b/1', seconds: 0 },
  ]);
  await one.store.close(one.telemetry.snapshot());
  clock.now += hour;
  const two = await sidecar(t, directory, clock);
  t.same(two.store.keyAges(['a/1', 'a/2']), [
    { kid: 'a/1', seconds: 3600 },
    { kid: 'a/2', seconds: 0 },
  ]);
  clock.now += hour;
  t.same(two.store.keyAges(['b/1']), [{ kid: 'b/1', seconds: 0 }], 'a key that went and came back is new');
});

t.test('a broken file stops nothing: it is kept aside and named', async (t) => {
  const directory = await stateDirectory(t);
  await writeFile(join(directory, 'observed.json'), '{"since": "yesterday"');
  const { store, telemetry, lines } = await sidecar(t, directory, { now: start });
  t.match(lines, [{ event: 'observed-broken', msg: /observed\.json\.broken/ }]);
  await store.save(telemetry.snapshot());
  t.same((await readdir(directory)).sort(), ['observed.json', 'observed.json.broken']);
});

t.test('a full disk stops nothing: the log says so', async (t) => {
  const directory = await stateDirectory(t);
  const { store, telemetry, logged } = await sidecar(t, directory, { now: start });
  await rm(directory, { recursive: true });
  store.saveRegularly(async () => telemetry.snapshot(), 5);
  t.match(await logged('observed-not-saved'), { msg: /could not be saved/ });
  await t.rejects(store.close(telemetry.snapshot()), { code: 'ENOENT' });
});

t.test('thousands of observations are written whole', async (t) => {
  const directory = await stateDirectory(t);
  const { store, telemetry } = await sidecar(t, directory, { now: start });
  for (let i = 0; i < 900; i++)
    telemetry.record(
      callRecord({ path: `/route-${'x'.repeat(1 + (i % 60))}/${'y'.repeat(1 + (i % 15))}/z` }),
    );
  for (let i = 0; i < 900; i++) telemetry.record(strangerRecord({ claimed: `s${i}` }));
  await store.save(telemetry.snapshot());
  const file = observedSchema.parse(JSON.parse(await readFile(join(directory, 'observed.json'), 'utf8')));
  t.equal(
    file.observations.reduce((sum, row) => sum + row.count, 0),
    900 + 500,
  );
  t.equal(file.overflow, 400, 'strangers cannot crowd services out');
});
