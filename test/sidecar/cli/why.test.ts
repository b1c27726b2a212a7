import t from 'tap';
import { whyText } from '../../../sidecar/cli/why.ts';
import { readFrom } from '../../../sidecar/fleet-reader/from.ts';
import { hashesIn, traceCall } from '../../../sidecar/readiness/both-sides.ts';
import { type GatheredFleet, gatheredFleet } from '../../support/gathered-fleet.ts';
import { runCountersign } from '../../support/run-countersign.ts';

type Denial = GatheredFleet['npuWorker']['denials']['denials'][number];

const denial: Denial = {
  request_id: 'r-7',
  time: '2026-11-23T10:00:00.000Z',
  direction: 'inbound',
  caller: 'main-backend',
  claimed: undefined,
  callee: 'npu-worker',
  method: 'DELETE',
  path: '/api/status/42',
  kid: 'main-backend/3',
  reason: 'not-authorized',
  detail: 'No rule allows it.',
  rule: 'main-backend: GET /api/status/*',
  expected: 'method GET',
  received: 'method DELETE',
  disposition: 'refused',
  status: 403,
};
const mismatch: Denial = {
  ...denial,
  request_id: 'r-8',
  time: '2026-11-23T09:00:00.000Z',
  caller: undefined,
  claimed: 'main-backend',
  reason: 'signature-mismatch',
  detail: 'The signature does not match what was received.',
  rule: undefined,
  expected: undefined,
  received: '"@method"=11111111 "@path"=22222222 "x-a";key="b c"=33333333 "cookie"=none',
};
const signed = {
  request_id: 'r-8',
  time: '2026-11-23T08:59:59.000Z',
  callee: 'npu-worker',
  method: 'DELETE',
  path: '/api/status/42',
  kid: 'main-backend/3',
  reason: 'signature-mismatch',
  components: [
    { component: '"@method"', hash: '11111111' },
    { component: '"@path"', hash: '99999999' },
    { component: '"x-a";key="b c"', hash: '33333333' },
    { component: '"cookie"', hash: '44444444' },
  ],
};

/** The answer about the mismatch, without a process. */
async function told({ hosts }: GatheredFleet): Promise<string> {
  const trace = traceCall(await readFrom([hosts]), 'r-8');
  return trace === undefined ? '' : whyText(trace);
}

t.test('tells the stage that failed, the nearest rule and the field that differs', async (t) => {
  const fleet = await gatheredFleet(t);
  fleet.npuWorker.denials = { denials: [denial, mismatch], signed: [] };
  await fleet.write();
  const byId = await runCountersign(['why', 'r-7', '--from', fleet.hosts]);
  t.equal(byId.code, 0, byId.stderr);
  for (const part of [
    /callee's side \(.*npu-worker\)/,
    /main-backend sent DELETE \/api\/status\/42 to npu-worker: was refused/,
    /stage: check \d+ of \d+ \(inbound\): not-authorized/,
    /nearest rule: main-backend: GET \/api\/status\/\*/,
    /expected: method GET/,
    /received: method DELETE/,
  ])
    t.match(byId.stdout, part);
  t.equal(
    (await runCountersign(['why', '--last', '--from', fleet.hosts])).stdout,
    byId.stdout,
    'the newest one',
  );
  t.match(JSON.parse((await runCountersign(['why', 'r-7', '--json', '--from', fleet.hosts])).stdout), {
    request_id: 'r-7',
    denials: [{ denial: { rule: 'main-backend: GET /api/status/*' } }],
  });
});

t.test('compares what both ends of a mismatch saw', async (t) => {
  const fleet = await gatheredFleet(t);
  fleet.npuWorker.denials = { denials: [mismatch], signed: [] };
  fleet.mainBackend.denials = { denials: [], signed: [signed] };
  await fleet.write();
  const { code, stdout } = await runCountersign(['why', 'r-8', '--from', fleet.hosts]);
  t.equal(code, 0);
  t.match(stdout, /"@method" +11111111 +11111111 +same/);
  t.match(stdout, /"@path" +99999999 +22222222 +DIFFERS/);
  t.match(stdout, /"x-a";key="b c" +33333333 +33333333 +same/);
  t.match(stdout, /Changed on the way: "@path", "cookie"\./);
  t.match(stdout, /somebody who claims to be main-backend/);

  fleet.mainBackend.denials = {
    denials: [],
    signed: [{ ...signed, components: hashesIn(mismatch.received ?? '') }],
  };
  await fleet.write();
  t.match(await told(fleet), /different keys under this key id/);

  fleet.mainBackend.denials = { denials: [], signed: [] };
  await fleet.write();
  t.match(
    (await runCountersign(['why', 'r-8', '--from', fleet.hosts])).stdout,
    /name its sidecar with --from/,
  );
});

t.test('a call that no sidecar refused is told from one that the app refused', async (t) => {
  const fleet = await gatheredFleet(t);
  const unknown = await runCountersign(['why', 'r-9', '--from', fleet.hosts]);
  t.equal(unknown.code, 1);
  t.match(unknown.stderr, /found no denial r-9 at the 2 sidecars.*is the app's own/);
  t.match(await runCountersign(['why', '--last', '--from', fleet.hosts]), {
    code: 1,
    stderr: /found no denial at/,
  });
  t.equal((await runCountersign(['why', '--from', fleet.hosts])).code, 64);
  t.equal((await runCountersign(['why', 'r-9', '--last', '--from', fleet.hosts])).code, 64);
});

t.test('what a caller sent writes nothing on the terminal', async (t) => {
  const fleet = await gatheredFleet(t);
  fleet.npuWorker.denials = { denials: [{ ...denial, path: '/\u001b[2J\u202e' }], signed: [] };
  await fleet.write();
  const { stdout } = await runCountersign(['why', 'r-7', '--from', fleet.hosts]);
  t.match(stdout, /\/\\x1b\[2J\\u202e/);
});
