import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { ConfigError, parseYaml } from '../../../config/load.ts';
import { compileMatrix, loadMatrix } from '../../../sidecar/config/authorization.ts';
import { loadFleet } from '../../../sidecar/config/fleet.ts';

const fleet = await loadFleet(join(import.meta.dirname, '../../../config/fleet.yaml'));

function problems(text: string): string[] {
  try {
    compileMatrix(parseYaml('m.yaml', text), fleet);
  } catch (error) {
    if (error instanceof ConfigError) return error.message.split('\n');
    throw error;
  }
  return [];
}

const one = (rules: string) =>
  problems(`services:\n  npu-worker:\n    callers:\n      main-backend: ${rules}\n`);

t.test('the matrix that ships loads against the fleet that ships', async (t) => {
  const matrix = await loadMatrix(join(import.meta.dirname, '../../../config/authorization.yaml'), fleet);
  t.strictSame([...matrix.services.keys()], [...fleet.services.keys()]);
  for (const rules of matrix.services.values()) t.ok(rules.public.match('GET', '/api/health'), rules.service);
  t.match(matrix.hash, /^[0-9a-f]{64}$/);
  t.equal(matrix.of('nobody').callers.size, 0);
});

t.test('every problem names file, line and column, all of them at once', async (t) => {
  const text = `services:
  npu-worker:
    public: [ GET /api/health, GET /api/health ]
    callers:
      main-backend:
        - POST /api/**
        - POST /api/process
        - get /x
      nobody: [ GET /x ]
  ghost: {}
`;
  t.strictSame(
    problems(text).map((line) => line.split(':').slice(0, 3).join(':')),
    ['m.yaml:3:32', 'm.yaml:8:11', 'm.yaml:7:11', 'm.yaml:9:7', 'm.yaml:10:3'].sort(
      (a, b) =>
        problems(text).findIndex((line) => line.startsWith(a)) -
        problems(text).findIndex((line) => line.startsWith(b)),
    ),
  );
  const all = problems(text).join('\n');
  t.match(
    all,
    'found "GET /api/health", which repeats "GET /api/health" (line 3), expected each permission once',
  );
  t.match(all, 'found "POST /api/process", which is wholly covered by "POST /api/**" (line 6)');
  t.match(all, 'the unknown service "nobody", expected one that fleet.yaml names: main-backend, frontend');
});

t.test('unknown keys are errors', async (t) => {
  t.match(problems(''), ['m.yaml: found an empty file, expected authorization.yaml with services']);
  t.match(problems('services: [a]\n'), ['m.yaml:1:11: services: found ["a"], expected a mapping']);
  t.match(problems('services: &s {}\nmore: *s\n'), [
    /^m\.yaml:2:7: found the alias \*s, expected the value itself/,
  ]);
  t.match(problems('services: {}\nmode: permissive\n'), [/^m\.yaml:2:1: mode: found an unknown key/]);
  t.match(problems('services:\n  npu-worker: { allow: [] }\n'), [/^m\.yaml:2:17: .*unknown key "allow"/]);
  t.match(problems('services:\n  Npu_Worker: {}\n'), [/^m\.yaml:2:3: .*a service name/]);
  t.match(problems('services:\n  npu-worker:\n    callers: { main-backend: GET /x }\n'), [/a list of rules/]);
});

t.test('rules that say nothing, or not what they seem to, are errors', async (t) => {
  const faults: [string, RegExp][] = [
    ['[ /x ]', /METHOD, one space and a path/],
    ['[ GET ]', /METHOD, one space/],
    ['[ GET,HEAD /x ]', /quote several methods: "GET,HEAD \/x"/],
    ['[ "GET  /x" ]', /one space/],
    ['[ GET x ]', /METHOD, one space and a path/],
    ['[ get /x ]', /methods in capitals/],
    ['[ "GET, /x" ]', /methods in capitals/],
    ['[ "GET,GET /x" ]', /each method once/],
    ['[ TRACE /x ]', /no TRACE/],
    ['[ GET /x?y=1 ]', /without query/],
    ['[ GET /**/x ]', /\*\* as the last segment only/],
    ['[ GET /api/v* ]', /as a whole segment/],
    ['[ GET /api/***]', /as a whole segment/],
    ['[ GET /a/../b ]', /a dot segment/],
    ['[ GET /a/%2e%2e/b ]', /a dot segment, percent-encoded/],
    ['[ GET /caf\u00e9 ]', /the raw byte 0xe9/],
    ['[ GET /a%zz ]', /no percent-encoding/],
    ['[ 7 ]', /a rule such as/],
    ['[ "* /a/*", POST /a/b ]', /wholly covered by "\* \/a\/\*"/],
    ['[ "GET,HEAD /a", "HEAD,GET /a" ]', /wholly covered/],
    ['[ GET /a/**, GET /a ]', /wholly covered/],
  ];
  for (const [rules, message] of faults) {
    const found = one(rules);
    t.equal(found.length, 1, rules);
    t.match(found[0], message);
    t.match(found[0], /^m\.yaml:4:\d+: services\.npu-worker\.callers\.main-backend\.\d: found /);
  }
  t.match(one('[ * /internal/** ]').join(), /^m\.yaml:4:23: /, 'an unquoted asterisk is no YAML');
});

t.test('what overlaps without covering is fine', async (t) => {
  t.strictSame(
    one('[ POST /a/b, "* /a/*", GET /a/**, "GET,HEAD /a", "* /internal/**", GET /, GET /** ]'),
    [],
  );
  t.strictSame(
    problems('services:\n  npu-worker:\n    public: [ GET /x ]\n    callers: { frontend: [ GET /x ] }\n'),
    [],
  );
});

t.test('a file that cannot be read says so', async (t) => {
  await t.rejects(loadMatrix('/nowhere/authorization.yaml'), /found no such file, expected a readable file/);
});

t.test('1,000 services with 50 rules each load in less than a second', async (t) => {
  const dir = await mkdtemp(join(tmpdir(), 'matrix-'));
  t.teardown(() => rm(dir, { recursive: true }));
  let text = 'services:\n';
  for (let s = 0; s < 1000; s++) {
    text += `  service-${s}:\n    public: [ GET /api/health ]\n    callers:\n`;
    for (let c = 1; c <= 5; c++) {
      text += `      service-${(s + c) % 1000}:\n`;
      for (let r = 0; r < 10; r++) text += `        - POST /api/v${c}/things-${s}/action-${r}/*\n`;
    }
  }
  const file = join(dir, 'big.yaml');
  await writeFile(file, text);
  const start = process.cpuUsage();
  const matrix = await loadMatrix(file);
  const { user, system } = process.cpuUsage(start);
  t.equal(matrix.services.size, 1000);
  t.comment(`${((user + system) / 1e6).toFixed(2)} s of CPU`);
  // All threads of the process are in this figure: the collector's work beside the loader counts, waiting does not.
  t.ok(user + system < 2e6);
});
