import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import t from 'tap';
import { exchange } from '../../support/raw-http.ts';
import { runCountersign } from '../../support/run-countersign.ts';
import { startTarget } from '../attacks/target.ts';

t.test(
  'commands read the fleet from the control host, without ssh, and name what they cannot reach',
  async (t) => {
    const target = await startTarget(t, 'enforcing', '', undefined, 'operators: [control]\n', ['control']);
    await exchange(t, target.inbound, target.signed({}).bytes);
    await exchange(t, target.inbound, target.signed({ method: 'DELETE' }).bytes);
    const at = (name: string) => join(target.folder, name);
    const files = ['--fleet', at('fleet.yaml'), '--keyring', at('control/keyring.json')];
    const matrix = ['--authorization', at('authorization.yaml')];
    const run = (...words: string[]) => runCountersign(words);

    const routes = await run('routes', 'npu-worker', ...matrix, ...files, '--json');
    t.equal(routes.code, 0, routes.stderr);
    t.match(
      JSON.parse(routes.stdout).routes.find(({ calls }: { calls: number }) => calls > 0),
      { caller: 'main-backend', rule: 'GET /api/status/*', calls: 1, traffic: { calls: 1, success_rate: 1 } },
    );
    t.match(routes.stderr, /^countersign: main-backend at 127\.0\.0\.1:\d+: connect ECONNREFUSED/m);
    t.notMatch(routes.stderr, /control/, 'the operator itself needs no sidecar');

    const edges = await run('edges', ...matrix, '--keyring', at('control/keyring.json'), '--json');
    t.match(
      JSON.parse(edges.stdout).edges[3],
      { caller: 'main-backend', denied: 1 },
      'fleet.yaml beside the matrix',
    );

    const why = await run('why', '--last', ...files);
    t.equal(why.code, 0, why.stderr);
    t.match(why.stdout, /DELETE \/api\/status\/7/);

    const report = await run('report', ...matrix, ...files);
    t.equal(report.code, 1);
    t.match(report.stdout, /- ai-stack at \S+ could not be read: connect ECONNREFUSED/);
    t.notMatch(report.stdout, /no sidecar of (control|ai-stack)/);

    const suggest = await run('matrix', 'suggest', ...matrix, ...files);
    t.match(suggest.stdout, /DELETE \/api\/status/);
    const wider = at('wider.yaml');
    await writeFile(
      wider,
      (await readFile(at('authorization.yaml'), 'utf8')).replace(
        'GET /api/status/*',
        '"GET,DELETE /api/status/*"',
      ),
    );
    const diff = await run('matrix', 'diff', at('authorization.yaml'), wider, ...files);
    t.match(diff.stdout, /newly allowed: 1 calls/);

    const registry = at('registry');
    await run(
      'keys',
      'init',
      '--registry',
      `file:${registry}`,
      '--fleet',
      at('fleet.yaml'),
      '--out',
      at('keyrings'),
    );
    const keys = await run('keys', 'status', '--registry', `file:${registry}`, ...files, '--json');
    const { silent, keys: lines } = JSON.parse(keys.stdout);
    t.same(
      silent,
      ['main-backend@127.0.0.1', 'ai-stack@127.0.0.2'],
      'the operator is not expected to answer',
    );
    t.match(
      lines.find(({ kid }: { kid: string }) => kid === 'main-backend/1'),
      { accepted_by: ['npu-worker@127.0.0.1'] },
    );
  },
);

t.test('--keyring needs a fleet, and a keyring of its own host', async (t) => {
  t.match(await runCountersign(['why', '--last', '--keyring', 'x.json']), {
    code: 64,
    stderr: /--keyring: expected --fleet beside it/,
  });
  t.match(await runCountersign(['why', '--last', '--keyring', '/nowhere.json', '--fleet', 'x']), {
    code: 78,
  });
});
