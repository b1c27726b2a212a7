import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { runCountersign } from '../../support/run-countersign.ts';

async function folder(t: Test, files: Record<string, string>): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'countersign-check-'));
  t.teardown(() => rm(path, { recursive: true }));
  for (const [name, text] of Object.entries(files)) await writeFile(join(path, name), text, { mode: 0o600 });
  return path;
}

const sidecar = `service: npu-worker
outbound: { listen: 127.0.0.1:15001 }
inbound: { listen: 0.0.0.0:15006, app: 127.0.0.1:8081 }
admin: { listen: 127.0.0.1:15000 }
fleet: fleet.yaml
authorization: authorization.yaml
keyring: keyring.json
state: state
`;
const fleet = `services:
  main-backend: { hosts: [172.16.168.20], inbound: 15006, app: 8001 }
  npu-worker: { hosts: [172.16.168.22], inbound: 15006, app: 8081 }
`;
const authorization = `services:
  npu-worker:
    public: [ GET /api/health ]
    callers:
      main-backend: [ POST /api/process ]
`;
const keyring = JSON.stringify({ service: 'npu-worker', host: '172.16.168.22', outbound: {}, inbound: {} });
const good = {
  'sidecar.yaml': sidecar,
  'fleet.yaml': fleet,
  'authorization.yaml': authorization,
  'keyring.json': keyring,
};

t.test('says ok of a sidecar.yaml and all that it names', async (t) => {
  const path = await folder(t, good);
  t.match(await runCountersign(['check', '--config', join(path, 'sidecar.yaml')]), {
    code: 0,
    stdout: 'ok\n',
    stderr: '',
  });
});

t.test('prints every problem of every file, and exits with 78', async (t) => {
  const path = await folder(t, {
    ...good,
    'sidecar.yaml': `${sidecar}limits: { head: 16 }\nenforcement: off\n`,
    'fleet.yaml': 'services:\n  npu-worker: { hosts: [nowhere], inbound: 70000, app: 8081 }\n',
    'keyring.json': '{',
  });
  const { code, stderr } = await runCountersign([
    'check',
    '--config',
    join(path, 'sidecar.yaml'),
    '--fleet',
    join(path, 'fleet.yaml'),
    '--keyring',
    join(path, 'keyring.json'),
  ]);
  t.equal(code, 78);
  t.match(stderr, /sidecar\.yaml:9:17: limits\.head: found 16, expected a size/);
  t.match(stderr, /sidecar\.yaml:10:1: enforcement: found an unknown key/);
  t.match(stderr, /fleet\.yaml:2:25: services\.npu-worker\.hosts\.0: found "nowhere"/);
  t.match(stderr, /fleet\.yaml:2:44: services\.npu-worker\.inbound: found 70000/);
  t.match(stderr, /keyring\.json: found no valid JSON/);
});

t.test('sees that the files do not belong together', async (t) => {
  const path = await folder(t, {
    ...good,
    'keyring.json': keyring.replace('npu-worker', 'main-backend').replace('168.22', '168.99'),
    'fleet.yaml': fleet.replace('npu-worker', 'npu'),
  });
  const { code, stderr } = await runCountersign(['check', '--config', join(path, 'sidecar.yaml')]);
  t.equal(code, 78);
  t.match(
    stderr,
    /sidecar\.yaml:1:10: service: found the service "npu-worker", expected one of fleet\.yaml: main-backend, npu/,
  );
  t.match(
    stderr,
    /keyring\.json: service: found a keyring of main-backend, expected the keyring of npu-worker/,
  );
});

t.test('refuses a keyring that others may read', async (t) => {
  const path = await folder(t, good);
  await chmod(join(path, 'keyring.json'), 0o644);
  const { code, stderr } = await runCountersign(['check', '--keyring', join(path, 'keyring.json')]);
  t.equal(code, 78);
  t.match(stderr, /expected 0600/);
});

t.test('exits with 64 when asked for nothing, for an unknown option, or an unknown command', async (t) => {
  for (const args of [['check'], ['check', '--frob'], ['frob'], [], ['check', '--fleet']]) {
    const { code, stderr } = await runCountersign(args);
    t.equal(code, 64, args.join(' '));
    t.not(stderr, '');
  }
  t.match(await runCountersign(['--version']), { code: 0, stdout: /^\d+\.\d+\.\d+\n$/ });
  t.match(await runCountersign(['check', '--help']), { code: 0, stdout: /--config/ });
});

t.test('checks the matrix against the fleet', async (t) => {
  const path = await folder(t, {
    ...good,
    'authorization.yaml': authorization.replace('main-backend', 'main'),
  });
  const { code, stderr } = await runCountersign(['check', '--config', join(path, 'sidecar.yaml')]);
  t.equal(code, 78);
  t.match(
    stderr,
    /authorization\.yaml:5:7: services\.npu-worker\.callers\.main: found the unknown service "main"/,
  );
});

t.test('checks the files of the core service', async (t) => {
  const path = await folder(t, { 'core.yaml': 'listen: nowhere\n', 'llm_models.yaml': 'models: {}\n' });
  const words = ['--core', join(path, 'core.yaml'), '--models', join(path, 'llm_models.yaml')];
  const { code, stderr } = await runCountersign(['check', ...words]);
  t.equal(code, 78);
  t.match(stderr, /core\.yaml:1:9: listen: found "nowhere", expected/);
  t.match(stderr, /llm_models\.yaml/);
  const shipped = new URL('../../../config/', import.meta.url).pathname;
  const models = ['--models', join(shipped, 'llm_models.yaml')];
  const fleet = [
    '--fleet',
    join(shipped, 'fleet.yaml'),
    '--authorization',
    join(shipped, 'authorization.yaml'),
  ];
  t.match(await runCountersign(['check', ...models, ...fleet]), { code: 0, stdout: 'ok\n', stderr: '' });
});

t.test('checks guard.yaml with the gate file that it names, as the guard does at its start', async (t) => {
  const gate = { matrix: 'a'.repeat(64), seen: [], created: '2026-11-24T00:00:00Z' };
  const cases: [title: string, guard: string, gate: string | undefined, says: RegExp][] = [
    [
      'an unknown key',
      'gated: go.json\nmode: off\n',
      JSON.stringify(gate),
      /guard\.yaml:2:1: mode: found an unknown key/,
    ],
    [
      'a missing gate file',
      'gated: go.json\n',
      undefined,
      /go\.json: found no such file, expected a gate file/,
    ],
    ['an empty gate file', 'gated: go.json\n', '', /go\.json: found an empty file, expected a gate file/],
    [
      'a gate file that is none',
      'gated: go.json\n',
      '{"matrix":1}',
      /go\.json: found matrix of another kind/,
    ],
    ['text', 'gated: go.json\n', 'no', /go\.json: found text that is not JSON/],
  ];
  for (const [title, guard, text, says] of cases) {
    const path = await folder(t, { 'guard.yaml': guard, ...(text === undefined ? {} : { 'go.json': text }) });
    const file = join(path, 'guard.yaml');
    const checked = await runCountersign(['check', '--guard', file]);
    t.match(checked, { code: 78, stdout: '', stderr: says }, title);
    t.match(
      await runCountersign(['guard', '--config', file]),
      { code: 78, stderr: says },
      `${title}: start says the same`,
    );
  }
  const path = await folder(t, { 'guard.yaml': 'gated: go.json\n', 'go.json': JSON.stringify(gate) });
  t.match(await runCountersign(['check', '--guard', join(path, 'guard.yaml')]), { code: 0, stdout: 'ok\n' });
});
