import { spawn } from 'node:child_process';
import { join } from 'node:path';
import t from 'tap';
import { eventLine, isWanted } from '../../../sidecar/cli/tap.ts';
import { callEvent } from '../../../sidecar/telemetry/call-event.ts';
import { dist } from '../../../tools/build.ts';
import { callRecord, deniedRecord, strangerRecord } from '../../support/call-record.ts';
import { adminThatSaw } from '../../support/observed-fleet.ts';
import { exchange } from '../../support/raw-http.ts';
import { runCountersign } from '../../support/run-countersign.ts';
import { startTarget } from '../attacks/target.ts';

const allowed = callEvent(callRecord(), undefined, 0);
const denied = callEvent(deniedRecord(), undefined, 0);
const stranger = callEvent(strangerRecord({ path: '/a\x1b[2J' }), 'main\x9b', 0);

t.test('filters', async (t) => {
  const wanted = (filter: object) => [allowed, denied, stranger].map((event) => isWanted(event, filter));
  t.same(wanted({}), [true, true, true]);
  t.same(wanted({ caller: 'main-backend' }), [true, true, false]);
  t.same(wanted({ caller: 'unknown' }), [false, false, true]);
  t.same(wanted({ callee: 'ai-stack' }), [false, false, false]);
  t.same(wanted({ verdict: 'denied' }), [false, true, true]);
  t.same(wanted({ code: '4xx' }), [false, true, true]);
  t.same(wanted({ code: '200' }), [true, false, false]);
  t.same(wanted({ path: '/api/' }), [true, true, false]);
  t.same(wanted({ direction: 'outbound' }), [false, false, false]);
});

t.test('a line tells a call; what strangers sent writes nothing on the terminal', async (t) => {
  t.equal(eventLine(allowed, false), '00:00:00.000 200   2 ms main-backend → npu-worker GET /api/status/42');
  t.match(eventLine(denied, true), /33m.*DELETE \/api\/status\/42 not-authorized, refused/);
  t.equal(
    eventLine(stranger, false),
    '00:00:00.000 401   2 ms (main\\x9b?) → npu-worker GET /a\\x1b[2J missing-signature, refused',
  );
});

t.test('follows sidecars, over the hop too, and comes back to one that was away', async (t) => {
  const target = await startTarget(t, 'enforcing', '', undefined, 'operators: [control]\n', ['control']);
  await runCountersign(['version']);
  const at = (name: string) => join(target.folder, name);
  const child = spawn(
    join(dist, 'countersign'),
    [
      'tap',
      '--json',
      '--verdict',
      'denied',
      '--fleet',
      at('fleet.yaml'),
      '--keyring',
      at('control/keyring.json'),
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  t.teardown(() => child.kill('SIGKILL'));
  let [stdout, stderr] = ['', ''];
  let wake = () => {};
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    wake();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
    wake();
  });
  const until = async (enough: () => boolean) => {
    while (!enough())
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
  };
  await until(() => /main-backend at \S+: connect ECONNREFUSED.*trying again/.test(stderr));
  // Until the stream has begun nothing is told; the calls are made again and again.
  const call = setInterval(() => {
    void exchange(t, target.inbound, target.signed({}).bytes);
    void exchange(t, target.inbound, target.signed({ method: 'DELETE' }).bytes);
  }, 200);
  t.teardown(() => clearInterval(call));
  await until(() => stdout.includes('\n'));
  clearInterval(call);
  t.match(JSON.parse(stdout.split('\n')[0] as string), {
    verdict: 'denied',
    reason: 'not-authorized',
    method: 'DELETE',
    callee: 'npu-worker',
  });
  t.notMatch(stdout, /"verdict":"allowed"/);
  child.kill('SIGINT');
  t.equal(await new Promise((resolve) => child.once('close', resolve)), 0);
});

t.test('wrong filters are wrong usage, files do not go on', async (t) => {
  const { url } = await adminThatSaw(t, []);
  for (const words of [
    ['--code', '9xx'],
    ['--verdict', 'maybe'],
    ['--direction', 'up'],
  ])
    t.match(await runCountersign(['tap', '--from', url, ...words]), { code: 64 }, words.join(' '));
  t.match(await runCountersign(['tap', '--from', '/tmp']), { code: 1, stderr: /files do not go on/ });
});
