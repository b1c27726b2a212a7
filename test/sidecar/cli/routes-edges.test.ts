import t from 'tap';
import { callRecord, deniedRecord, strangerRecord } from '../../support/call-record.ts';
import { gatheredFleet, observedRow } from '../../support/gathered-fleet.ts';
import { adminThatSaw } from '../../support/observed-fleet.ts';
import { runCountersign } from '../../support/run-countersign.ts';

t.test('prints routes and edges of a live sidecar in 80 columns', async (t) => {
  const { authorization, fleet } = await gatheredFleet(t);
  const rule = 'main-backend: GET /api/status/*';
  const call = callRecord({
    verdict: { allowed: true, caller: 'main-backend', kid: 'main-backend/3', rule },
  });
  const { url } = await adminThatSaw(t, [call, call, deniedRecord(), strangerRecord()]);
  const files = ['--from', url, '--authorization', authorization, '--fleet', fleet];
  const routes = await runCountersign(['routes', 'npu-worker', ...files]);
  t.equal(routes.code, 0, routes.stderr);
  t.match(routes.stdout, /^main-backend → npu-worker$/m);
  t.match(routes.stdout, /^ {2}GET \/api\/status\/\* +2 +2 +100% +\S+ ms +\S+ ms +\d+ s ago$/m);
  t.match(routes.stdout, /^ {2}POST \/api\/process +0 +0 +- +- +- +never$/m);
  const edges = await runCountersign(['edges', ...files]);
  t.equal(edges.code, 0, edges.stderr);
  t.match(edges.stdout, /^main-backend +npu-worker +2 +1 .* used$/m);
  t.match(edges.stdout, /^\(strangers\) +npu-worker +0 +1 .* unproven$/m);
  for (const line of `${routes.stdout}${edges.stdout}`.split('\n')) t.ok(line.length <= 80, line);
});

t.test('--json, --unused, --over, and the words for what is wrong', async (t) => {
  const { authorization, fleet } = await gatheredFleet(t);
  const { url } = await adminThatSaw(t, []);
  const files = ['--from', url, '--authorization', authorization, '--fleet', fleet];
  const routes = await runCountersign(['routes', ...files, '--unused', '--over', '0.01', '--json']);
  t.equal(routes.code, 0, routes.stderr);
  const { routes: rows, not_read } = JSON.parse(routes.stdout);
  t.equal(rows.length, 4);
  t.same(not_read, ['main-backend']);
  const edges = JSON.parse((await runCountersign(['edges', ...files, '--json'])).stdout);
  t.match(edges.edges, [
    { caller: 'unknown' },
    { caller: 'main-backend', state: 'never-seen' },
    { caller: 'unknown' },
  ]);
  t.match(await runCountersign(['routes', 'nobody', ...files]), { code: 64, stderr: /found "nobody"/ });
  t.match(await runCountersign(['edges', ...files, '--over', 'x']), { code: 64 });
});

t.test('gathered files tell what was called, not how fast', async (t) => {
  const gathered = await gatheredFleet(t);
  gathered.npuWorker.observed.observations = [observedRow({ count: 4 })];
  await gathered.write();
  const { authorization, fleet, hosts } = gathered;
  const ran = await runCountersign([
    'routes',
    'npu-worker',
    '--from',
    hosts,
    '--authorization',
    authorization,
    '--fleet',
    fleet,
  ]);
  t.match(ran.stdout, /^ {2}GET \/api\/status\/\* +4 +0 +- +- +- +\d+ s ago$/m, ran.stderr);
});
