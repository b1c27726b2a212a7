import { openSync } from 'node:fs';
import { cp, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { openLog } from '../../../sidecar/telemetry/log.ts';
import { Telemetry } from '../../../sidecar/telemetry/telemetry.ts';
import type { CallRecord } from '../../../sidecar/terms/call-record.ts';
import { callRecord, deniedRecord, strangerRecord } from '../../support/call-record.ts';
import { adminThatSaw } from '../../support/observed-fleet.ts';
import { runCountersign } from '../../support/run-countersign.ts';

const shipped = join(import.meta.dirname, '../../../config');

async function folder(t: { teardown(done: () => unknown): void }) {
  const dir = await mkdtemp(join(tmpdir(), 'matrix-cli-'));
  t.teardown(() => rm(dir, { recursive: true }));
  for (const file of ['authorization.yaml', 'fleet.yaml']) await cp(join(shipped, file), join(dir, file));
  return dir;
}

const matrix = (dir: string, ...args: string[]) => runCountersign(['matrix', ...args], { cwd: dir });
const explain = (dir: string, ...args: string[]) =>
  matrix(dir, 'explain', ...args, '--authorization', 'authorization.yaml');

const denied = (method: string, path: string, changes: Partial<CallRecord> = {}) =>
  deniedRecord({ method, path, ...changes });

t.test('check passes the matrix that ships, and says where a broken one is wrong', async (t) => {
  const dir = await folder(t);
  t.match(await matrix(dir, 'check', 'authorization.yaml'), {
    code: 0,
    stdout: /^ok: 6 services, \d+ rules\n$/,
  });
  await writeFile(
    join(dir, 'broken.yaml'),
    'services:\n  npu-wroker: {}\n  npu-worker:\n    public: [ GET /x, GET /x ]\n',
  );
  const { code, stderr } = await matrix(dir, 'check', 'broken.yaml');
  t.equal(code, 78);
  t.match(stderr, 'broken.yaml:2:3: services.npu-wroker: found the unknown service "npu-wroker"');
  t.match(
    stderr,
    'broken.yaml:4:23: services.npu-worker.public.1: found "GET /x", which repeats "GET /x" (line 4)',
  );
  t.match(await matrix(dir, 'check', 'nowhere.yaml'), { code: 78, stderr: /found no such file/ });
});

t.test('explain answers with the rule or the nearest ones, and with its exit code', async (t) => {
  const dir = await folder(t);
  const yes = await explain(dir, 'main-backend', 'GET', 'npu-worker', '/api/status/7?full=1');
  t.match(yes, {
    code: 0,
    stdout: /rule: main-backend: GET \/api\/status\/\*\n {2}at: +authorization\.yaml:\d+:\d+/,
  });
  const open = await explain(dir, '-', 'GET', 'npu-worker', '/api/health');
  t.match(open, { code: 0, stdout: /rule: public: GET \/api\/health/ });
  const no = await explain(dir, 'ai-stack', 'GET', 'npu-worker', '/api/process');
  t.match(no, { code: 1, stdout: /403 not-authorized/ });
  t.match(
    no.stdout,
    /near: ai-stack: POST \/api\/process\n +at authorization.yaml:\d+:\d+\n +expects method POST\n +received method GET/,
  );
  const dots = await explain(dir, 'main-backend', 'GET', 'npu-worker', '/api/status/%2e%2e');
  t.match(dots, { code: 1, stdout: /400 ambiguous-path\)\n.*a dot segment/ });
  t.match(await explain(dir, 'nobody', 'GET', 'npu-worker', '/x'), {
    code: 1,
    stdout: /fleet.yaml names no service nobody/,
  });
  t.match(await explain(dir, 'main-backend', 'get', 'npu-worker', '/api/status'), {
    code: 1,
    stdout: /case-sensitive: get is not GET/,
  });
  const json = JSON.parse(
    (await explain(dir, 'ai-stack', 'GET', 'npu-worker', '/api/status/7', '--json')).stdout,
  );
  t.match(json, {
    allowed: false,
    reason: 'not-authorized',
    nearest: [{ rule: 'main-backend: GET /api/status/*', expected: 'caller main-backend' }],
  });
  t.equal((await explain(dir, 'ai-stack', 'GET', 'npu-worker')).code, 64);
});

t.test('show prints a grid and the rules', async (t) => {
  const dir = await folder(t);
  const { code, stdout } = await matrix(dir, 'show', '--authorization', 'authorization.yaml');
  t.equal(code, 0);
  t.match(stdout, /^caller ↓ {2}callee → {2}main-backend {2}frontend/);
  t.match(stdout, /^frontend +1 +· +·/m);
  t.match(stdout, 'npu-worker ← ai-stack\n    POST /api/process\n    POST /api/inference\n');
  const one = await matrix(dir, 'show', 'frontend', '--authorization', 'authorization.yaml', '--json');
  t.strictSame(JSON.parse(one.stdout).permits, [
    { callee: 'main-backend', caller: 'frontend', rules: ['* /api/**'] },
    { callee: 'frontend', caller: '(public)', rules: ['GET /api/health'] },
  ]);
  t.equal((await matrix(dir, 'show', 'nobody', '--authorization', 'authorization.yaml')).code, 64);
});

t.test('suggest proposes the missing rules of proven callers, ids folded, with counts', async (t) => {
  const dir = await folder(t);
  const { url } = await adminThatSaw(t, [
    ...['17', '18', '19'].map((id) => denied('GET', `/api/jobs/${id}`)),
    denied('DELETE', '/api/jobs/17'),
    denied('POST', '/api/warm', { caller: 'ai-stack' }),
    callRecord(),
    strangerRecord({ path: '/api/secret' }),
    denied('GET', '/api/x%2Fy', {
      verdict: { allowed: false, caller: 'main-backend', denial: { reason: 'ambiguous-path', detail: 'x' } },
    }),
    denied('GET', '/out', { direction: 'outbound', callee: 'ai-stack' }),
  ]);
  const before = await readFile(join(dir, 'authorization.yaml'), 'utf8');
  const { code, stdout } = await matrix(
    dir,
    'suggest',
    '--from',
    url,
    '--authorization',
    'authorization.yaml',
  );
  t.equal(code, 0);
  t.match(
    stdout,
    '# 2 rules to add to authorization.yaml; --apply does it\nservices:\n  npu-worker:\n    callers:\n      ai-stack:\n        - POST /api/warm # 1 call, the last 2',
  );
  t.match(
    stdout,
    /main-backend:\n {8}- DELETE,GET \/api\/jobs\/\* # 4 calls, the last \S+, such as \/api\/jobs\/1\d/,
  );
  t.match(stdout, '# not proposed: 1 × calls to npu-worker: no valid signature proves who called');
  t.match(
    stdout,
    /# not proposed: 1 × GET \/api\/\* of main-backend at npu-worker: the path can be read in more than one way/,
  );
  t.notMatch(stdout, /secret|\/out|status/);
  t.equal(
    await readFile(join(dir, 'authorization.yaml'), 'utf8'),
    before,
    'nothing is written without --apply',
  );
});

t.test('suggest --apply keeps every other byte, and then has nothing left to say', async (t) => {
  const dir = await folder(t);
  const file = join(dir, 'authorization.yaml');
  const { url } = await adminThatSaw(t, [
    denied('GET', '/api/jobs/17'),
    denied('GET', '/api/jobs/18', { caller: 'frontend' }),
    denied('GET', '/api/jobs/19', { caller: 'main-backend', callee: 'redis-stack' }),
  ]);
  const before = await readFile(file, 'utf8');
  const args = ['suggest', '--from', url, '--authorization', 'authorization.yaml'];
  t.match(await matrix(dir, ...args, '--apply'), {
    code: 0,
    stdout: /^# 3 rules added to authorization\.yaml/,
  });
  const after = await readFile(file, 'utf8');
  const added = after.split('\n');
  for (const line of before.split('\n')) {
    const at = added.indexOf(line);
    if (at === -1) t.fail(`lost: ${line}`);
    else added.splice(at, 1);
  }
  t.strictSame(
    added.map((line) => line.replace(/ # .*/, '')).sort(),
    [
      '        - GET /api/jobs/*',
      '        - GET /api/jobs/*',
      '        - GET /api/jobs/*',
      '      frontend:',
      '      main-backend:',
      '    callers:',
    ],
    'every other line is still there',
  );
  t.equal((await matrix(dir, 'check', 'authorization.yaml')).code, 0);
  t.equal((await explain(dir, 'main-backend', 'GET', 'redis-stack', '/api/jobs/1')).code, 0);
  t.match(await matrix(dir, ...args, '--apply'), { code: 0, stdout: /^# nothing to add/ });
  t.equal(await readFile(file, 'utf8'), after);
  t.strictSame((await readdir(dir)).sort(), ['authorization.yaml', 'fleet.yaml'], 'no draft is left');
});

t.test('suggest --apply follows a link, keeps the mode, and copes with any style', async (t) => {
  const dir = await folder(t);
  const text = `# top
services:
    ai-stack: {}   # empty
    npu-worker:   # the worker
        callers: { main-backend: [POST /api/process] }   # flow

    # last
    frontend:
        callers:
        # nobody yet
`;
  await writeFile(
    join(dir, 'real.yaml'),
    text.replace('        callers:\n        # nobody yet\n', '        public: []\n'),
    { mode: 0o640 },
  );
  await symlink('real.yaml', join(dir, 'link.yaml'));
  const { url } = await adminThatSaw(t, [
    denied('GET', '/api/jobs/17'),
    denied('POST', '/api/jobs/17'),
    denied('GET', '/a', { callee: 'ai-stack' }),
    denied('GET', '/b', { callee: 'frontend' }),
    denied('GET', '/c', { callee: 'browser-service' }),
  ]);
  t.equal((await matrix(dir, 'suggest', '--from', url, '--authorization', 'link.yaml', '--apply')).code, 0);
  const after = await readFile(join(dir, 'real.yaml'), 'utf8');
  for (const comment of ['# top', '# empty', '# the worker', '# flow', '# last']) t.match(after, comment);
  t.match(after, /main-backend: \[ ?POST \/api\/process, "GET,POST \/api\/jobs\/\*" ?\]/);
  t.equal((await stat(join(dir, 'real.yaml'))).mode & 0o777, 0o640);
  t.match(await matrix(dir, 'check', 'link.yaml'), { code: 0 });
});

t.test('suggest reads the log of a sidecar too', async (t) => {
  const dir = await folder(t);
  const fd = openSync(join(dir, 'sidecar.log'), 'w');
  const log = openLog({ service: 'npu-worker', fd });
  const telemetry = new Telemetry({ service: 'npu-worker', peers: ['main-backend'], logger: log.logger });
  for (const call of [denied('GET', '/api/jobs/17'), denied('GET', '/api/jobs/18'), strangerRecord()])
    telemetry.record(call);
  telemetry.close();
  await log.end();
  const { stdout } = await matrix(
    dir,
    'suggest',
    '--from',
    'sidecar.log',
    '--authorization',
    'authorization.yaml',
    '--json',
  );
  t.match(JSON.parse(stdout).proposals, [
    { callee: 'npu-worker', caller: 'main-backend', rule: 'GET /api/jobs/*', count: 2 },
  ]);
});

t.test('suggest proposes a rule for paths with ids that no document shows', async (t) => {
  const dir = await folder(t);
  const { url } = await adminThatSaw(t, [
    denied('GET', '/api/parcels/d6ad67a0-3890-4ad4-a944-c1a6a5590fe4'),
    denied('GET', '/api/parcels/7'),
  ]);
  const words = ['--from', url, '--authorization', 'authorization.yaml', '--json'];
  const { stdout } = await matrix(dir, 'suggest', ...words);
  t.match(JSON.parse(stdout), { proposals: [{ rule: 'GET /api/parcels/*', count: 2 }], withheld: [] });
});

t.test('attack: what a caller calls never widens a proposal beyond its own calls', async (t) => {
  const dir = await folder(t);
  const { url } = await adminThatSaw(t, [
    denied('GET', '/**'),
    denied('GET', '/api/*/**'),
    denied('*', '/a'),
    denied('GET', `/${Array.from({ length: 40 }, () => 'deep').join('/')}`),
    denied('GET', '/a\n/b'),
    denied('GET', '/x', { caller: 'intruder' }),
    strangerRecord({ path: '/\n# injected: true', claimed: 'x\nservices: {}' }),
  ]);
  const { code, stdout } = await matrix(
    dir,
    'suggest',
    '--from',
    url,
    '--authorization',
    'authorization.yaml',
    '--apply',
  );
  t.equal(code, 0);
  t.match(stdout, /^# nothing to add/);
  t.match(stdout, /a rule cannot name a segment of asterisks/);
  t.notMatch(stdout, /^services: \{\}|^# injected/m);
  t.notMatch(stdout, /intruder:/);
  t.equal((await explain(dir, 'main-backend', 'GET', 'npu-worker', '/b/c')).code, 1);
});

t.test('diff replays what was seen: newly allowed, newly denied', async (t) => {
  const dir = await folder(t);
  const text = await readFile(join(dir, 'authorization.yaml'), 'utf8');
  await writeFile(
    join(dir, 'new.yaml'),
    text
      .replace('- GET /api/status/*', '- GET /api/jobs/*')
      .replace(
        '  frontend:\n    public: [GET /api/health]',
        '  frontend:\n    public: [GET /api/health, GET /open]',
      ),
  );
  const { url } = await adminThatSaw(t, [
    ...Array.from({ length: 3 }, () => callRecord()),
    denied('GET', '/api/jobs/17'),
    strangerRecord({ path: '/open', method: 'GET', callee: 'frontend' }),
    callRecord({ path: '/api/process', method: 'POST' }),
  ]);
  const { code, stdout } = await matrix(dir, 'diff', 'authorization.yaml', 'new.yaml', '--from', url);
  t.equal(code, 1, 'something would be newly denied');
  t.match(stdout, 'rules: 2 added, 1 removed\n  - npu-worker ← main-backend: GET /api/status/*\n');
  t.match(stdout, /newly allowed: 2 calls\n {2}main-backend → npu-worker GET \/api\/jobs\/\* {2}1 ×/);
  t.match(stdout, '(nobody proven) → frontend GET /open  1 ×\n      by public: GET /open');
  t.match(
    stdout,
    /newly denied: 3 calls\n {2}main-backend → npu-worker GET \/api\/status\/\* {2}3 ×\n {6}was allowed by main-backend: GET \/api\/status\/\*/,
  );
  const same = await matrix(dir, 'diff', 'authorization.yaml', 'authorization.yaml', '--from', url, '--json');
  t.match(same.code, 0);
  t.match(JSON.parse(same.stdout), { allowed: [], denied: [], replayed: 6 });
});
