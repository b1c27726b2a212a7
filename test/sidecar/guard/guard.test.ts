import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile, rename, symlink, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import type { Executable } from '../../../sidecar/guard/executable.ts';
import { Guard } from '../../../sidecar/guard/guard.ts';
import { guardConfigSchema } from '../../../sidecar/guard/guard-config.ts';
import { callRecord, strangerRecord } from '../../support/call-record.ts';
import { callers, gatedMatrix, guardedHost, refused, seen, traffic } from '../../support/guarded-host.ts';
import { memoryLogger } from '../../support/log-lines.ts';

/** A guard that runs until the test ends, in front of a service manager of three commands. */
async function guarded(
  t: Test,
  dir: string,
  url: string,
  changes: Record<string, unknown> = {},
  executable?: Executable,
) {
  const stopping = new AbortController();
  const log = memoryLogger();
  const config = guardConfigSchema.parse({
    admin: new URL(url).host,
    gated: join(dir, 'go.json'),
    state: join(dir, 'state'),
    poll: '100ms',
    metrics: join(dir, 'guard.prom'),
    commands: {
      state: ['sh', '-c', `test -e ${dir}/logging-serves && echo inactive || echo active`],
      rollback: [['touch', join(dir, 'logging-serves')]],
      restart: [['touch', join(dir, 'restarted')]],
    },
    ...changes,
  });
  const guard = await Guard.open({
    config,
    logger: log.logger,
    host: 'h1',
    signal: stopping.signal,
    executable,
  });
  const done = guard.run();
  const stop = async () => {
    stopping.abort();
    await done;
  };
  t.teardown(stop);
  return { ...log, stop };
}

t.test('more than 5 % of failures of several callers swap back to logging, and tell everybody', async (t) => {
  const { dir, url, telemetry, swapped } = await guardedHost(t);
  const told: unknown[] = [];
  const hook = createServer(async (request, response) => {
    told.push(JSON.parse((await request.toArray()).join('')));
    response.end();
    hook.emit('told');
  }).listen(0, '127.0.0.1');
  t.teardown(() => hook.close());
  await once(hook, 'listening');
  const posted = once(hook, 'told');
  const { logged, stop, lines } = await guarded(t, dir, url, {
    webhook: `http://127.0.0.1:${(hook.address() as AddressInfo).port}/secret-token`,
  });
  await logged('swap');
  for (let i = 0; i < 90; i++) telemetry.record(callRecord());
  for (let i = 0; i < 10; i++) for (const caller of callers) telemetry.record(refused(caller));
  await logged('rollback');
  await logged('idle');
  t.ok(existsSync(swapped));
  const state = JSON.parse(await readFile(join(dir, 'state', 'guard.json'), 'utf8'));
  t.match(state, {
    swap: null,
    last_rollback: { why: /^20 of 110 calls within five minutes failed \(18\.2 %\)/ },
  });
  await posted;
  t.match(told, [{ host: 'h1', kind: 'rollback', text: /^back to the logging binary: 20 of 110/ }]);
  await stop();
  const metrics = await readFile(join(dir, 'guard.prom'), 'utf8');
  t.match(metrics, 'countersign_guard_rollbacks_total 1');
  t.match(metrics, 'countersign_guard_alarms_total{kind="rollback"} 1');
  t.notMatch(JSON.stringify(lines), 'secret-token');
});

t.test(
  'a host with one caller: refused by another matrix than the gated one, it is swapped back',
  async (t) => {
    const { dir, url, telemetry, swapped, inForce } = await guardedHost(t);
    const { logged, lines } = await guarded(t, dir, url);
    await logged('swap');
    inForce.matrix = 'another';
    t.match(await logged('alarm'), { kind: 'ungated-matrix' });
    t.notOk(existsSync(swapped), 'another matrix alone refuses nothing');
    for (let i = 0; i < 20; i++) telemetry.record(refused('main-backend'));
    await logged('rollback');
    t.ok(existsSync(swapped));
    t.match(
      lines.find(({ kind }) => kind === 'rollback'),
      { msg: /20 of 20 calls of main-backend were refused that were allowed and seen before/ },
    );
  },
);

t.test('attack: one caller, refused by the gated matrix, never swaps back', async (t) => {
  const { dir, url, telemetry, swapped } = await guardedHost(t);
  const { logged, stop } = await guarded(t, dir, url);
  await logged('swap');
  for (let i = 0; i < 400; i++) telemetry.record(refused('main-backend'));
  t.match(await logged('alarm'), { kind: 'single-caller' });
  await stop();
  t.notOk(existsSync(swapped));
});

t.test('it ends when its program was replaced, so that the current one is started', async (t) => {
  const { dir, url } = await guardedHost(t);
  const current = join(dir, 'current');
  await writeFile(join(dir, 'v1'), '1');
  await writeFile(join(dir, 'v2'), '2');
  await symlink('v1', current);
  const executable = { startedAs: current, running: join(dir, 'v1') };
  const { logged, lines } = await guarded(t, dir, url, {}, executable);
  await logged('swap');
  t.notOk(lines.some(({ event }) => event === 'replaced'));
  await symlink('v2', join(dir, 'next'));
  await rename(join(dir, 'next'), current);
  await logged('replaced');
});

t.test('attack: strangers, replays, unseen calls and a single caller never swap back', async (t) => {
  const { dir, url, telemetry, swapped } = await guardedHost(t);
  const { logged, lines, stop } = await guarded(t, dir, url);
  await logged('swap');
  for (let i = 0; i < 400; i++) {
    if (i < 50) telemetry.record(callRecord());
    for (const claimed of callers) telemetry.record(strangerRecord({ path: '/api/status/7', claimed }));
    telemetry.record(refused('main-backend'));
    telemetry.record(refused('ai-stack', 'not-authorized', '/api/unseen'));
    for (const reason of ['replayed', 'digest-mismatch'] as const)
      telemetry.record(refused('ai-stack', reason));
  }
  await logged('alarm');
  await stop();
  const alarms = lines.filter(({ event }) => event === 'alarm').map(({ kind }) => kind);
  t.strictSame(alarms.sort(), ['single-caller', 'unproven-failures']);
  t.notOk(existsSync(swapped));
});

t.test(
  'calls outside the window count when the skew of the report explains them, each signature once',
  async (t) => {
    const { dir, url, telemetry, swapped } = await guardedHost(t);
    const skew = callers.map((caller) => ({
      caller,
      callee: 'npu-worker',
      min_seconds: 280,
      max_seconds: 299,
    }));
    await writeFile(
      join(dir, 'go.json'),
      JSON.stringify({ created: '2026-11-23T12:00:00Z', matrix: gatedMatrix, seen, skew }),
    );
    const { logged, lines } = await guarded(t, dir, url);
    await logged('swap');
    const late = (claimed: string, createdAgo: number) =>
      strangerRecord({
        claimed,
        kid: `${claimed}/1`,
        path: '/api/status/7',
        verdict: {
          allowed: false,
          claimed,
          denial: {
            reason: 'outside-window',
            detail: '',
            received: `created=${Math.floor(Date.now() / 1000) - createdAgo}`,
          },
        },
      });
    for (let i = 0; i < 200; i++) telemetry.record(callRecord());
    for (const claimed of callers) for (let i = 0; i < 300; i++) telemetry.record(late(claimed, 500));
    for (const claimed of callers) for (let i = 0; i < 4; i++) telemetry.record(late(claimed, 600 + i));
    // Two seconds may pass while these are recorded: at most four signatures with 500 s, and eight others.
    let looks = 0;
    traffic(t, () => {
      if (++looks === 50)
        for (const claimed of callers) for (let i = 0; i < 20; i++) telemetry.record(late(claimed, 700 + i));
    });
    await logged('rollback');
    t.ok(looks >= 50, 'sent again and again, a signature counted once');
    t.match(
      lines.find(({ kind }) => kind === 'rollback'),
      { msg: /^back to the logging binary: 5\d of 25\d calls/ },
    );
    t.ok(existsSync(swapped));
  },
);

t.test('metrics that go missing restart the same binary and alarm', async (t) => {
  const { dir, url, admin, swapped } = await guardedHost(t);
  const { logged } = await guarded(t, dir, url);
  await logged('swap');
  await admin.close();
  t.match(await logged('alarm'), {
    kind: 'metrics-missing',
    msg: /^\/status does not answer, \/metrics is missing: restarting/,
  });
  await logged('restart');
  t.ok(existsSync(join(dir, 'restarted')));
  t.notOk(existsSync(swapped));
});

t.test('a binary that never becomes ready after the swap is rolled back', async (t) => {
  const { dir, url, admin, swapped } = await guardedHost(t);
  await admin.close();
  const { logged } = await guarded(t, dir, url, { ready_within: '300ms' });
  t.match(await logged('alarm'), { kind: 'rollback', msg: /did not become ready within 0.3 s/ });
  await logged('rollback');
  t.ok(existsSync(swapped));
});

t.test('the bake window is remembered over restarts of the guard', async (t) => {
  const { dir, url, telemetry, swapped } = await guardedHost(t);
  const first = await guarded(t, dir, url);
  await first.logged('swap');
  await first.stop();
  const file = join(dir, 'state', 'guard.json');
  const state = JSON.parse(await readFile(file, 'utf8'));
  state.swap.since = new Date(Date.parse(state.swap.since) - 24 * 3_600_000).toISOString();
  await writeFile(file, JSON.stringify(state));
  const second = await guarded(t, dir, url);
  traffic(t, () => {
    for (const caller of callers) for (let i = 0; i < 10; i++) telemetry.record(refused(caller));
  });
  t.match(await second.logged('alarm'), { kind: 'failing', msg: /the bake window is over/ });
  t.notOk(existsSync(swapped));
});

t.test('a command that fails is an alarm, and the ones after it still run', async (t) => {
  const { dir, url, telemetry } = await guardedHost(t);
  const { logged, lines } = await guarded(t, dir, url, {
    commands: { state: ['echo', 'active'], rollback: [['false'], ['touch', join(dir, 'second')]] },
  });
  await logged('swap');
  for (let i = 0; i < 60; i++) for (const caller of callers) telemetry.record(refused(caller));
  await logged('alarm');
  traffic(t, () => telemetry.record(callRecord()));
  while (!lines.some(({ kind }) => kind === 'rollback-failed')) await new Promise(setImmediate);
  t.match(
    lines.find(({ kind }) => kind === 'rollback-failed'),
    { msg: /^rollback failed: false: 1/ },
  );
  t.ok(existsSync(join(dir, 'second')));
});

t.test('a broken state file begins the bake window anew, and says so', async (t) => {
  const { dir, url } = await guardedHost(t);
  const first = await guarded(t, dir, url);
  await first.logged('swap');
  await first.stop();
  await writeFile(join(dir, 'state', 'guard.json'), '{');
  const second = await guarded(t, dir, url);
  await second.logged('state-broken');
  await second.logged('swap');
});
