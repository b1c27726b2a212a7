import t from 'tap';
import { parseYaml } from '../../../config/load.ts';
import { compileMatrix } from '../../../sidecar/config/authorization.ts';
import { describeNearest, nearestRules } from '../../../sidecar/policy/nearest.ts';

function rulesOf(lines: string) {
  return compileMatrix(parseYaml('authorization.yaml', `services:\n  npu:\n${lines}`)).of('npu');
}
const rules = rulesOf(`    public: [ GET /health ]
    callers:
      backend: [ GET /api/status/*, POST /api/process, "* /files/**" ]
      stack: [ GET /api/models, DELETE /api/status/* ]
`);

/** The nearest rules of a call, as they are told. */
const nearest = (caller: string | undefined, method: string, path: string, most?: number, of = rules) =>
  nearestRules(of, caller, method, path, most).map(describeNearest);

t.test('the segment in which path and rule part', async (t) => {
  t.strictSame(nearest('backend', 'GET', '/api/statuz/7', 1), [
    '"backend: GET /api/status/*" (expects segment 2 "status", received segment 2 "statuz")',
  ]);
  t.strictSame(nearest('backend', 'POST', '/api/Process', 1), [
    '"backend: POST /api/process" (expects segment 2 "process", received segment 2 "Process"; they differ in case only)',
  ]);
  t.strictSame(nearest('backend', 'GET', '/api/status', 1), [
    '"backend: GET /api/status/*" (expects segment 3 that is not empty, received no segment 3)',
  ]);
  t.strictSame(nearest('backend', 'GET', '/api/status/', 1), [
    '"backend: GET /api/status/*" (expects segment 3 that is not empty, received segment 3 "")',
  ]);
  t.strictSame(nearest('backend', 'GET', '/api/status/7/', 1), [
    '"backend: GET /api/status/*" (expects no slash at the end, received segment 4 "")',
  ]);
  t.strictSame(nearest('backend', 'GET', '/api/status/7/log', 1), [
    '"backend: GET /api/status/*" (expects no segment 4, received segment 4 "log")',
  ]);
});

t.test('method and caller, and all of them together', async (t) => {
  t.strictSame(nearest('backend', 'PUT', '/api/process', 1), [
    '"backend: POST /api/process" (expects method POST, received method PUT)',
  ]);
  t.strictSame(nearest('stack', 'POST', '/api/process', 1), [
    '"backend: POST /api/process" (expects caller backend, received caller stack)',
  ]);
  t.strictSame(nearest(undefined, 'GET', '/api/models', 1), [
    '"stack: GET /api/models" (expects caller stack, received no proven caller)',
  ]);
  const both = rulesOf('    callers:\n      backend: [ "GET,HEAD /a/b" ]\n');
  t.strictSame(nearest('stack', 'PUT', '/a/x', 1, both), [
    '"backend: GET,HEAD /a/b" (expects segment 2 "b" and method GET or HEAD and caller backend, ' +
      'received segment 2 "x" and method PUT and caller stack)',
  ]);
});

t.test("one's own rule that differs in one thing comes before another caller's that fits", async (t) => {
  t.strictSame(
    nearestRules(rules, 'stack', 'POST', '/api/models').map(({ rule }) => rule.label),
    ['stack: GET /api/models', 'backend: POST /api/process'].slice(0, 1),
    'what is more than one step further away is not told',
  );
  const close = rulesOf(`    callers:
      a: [ GET /x ]
      b: [ POST /x, PUT /x/y ]
`);
  t.strictSame(
    nearestRules(close, 'a', 'POST', '/x').map(({ rule, expected }) => `${rule.label}: ${expected}`),
    ['a: GET /x: method GET', 'b: POST /x: caller b'],
  );
});

t.test('a slash too many counts less than another segment', async (t) => {
  const two = rulesOf('    callers:\n      a: [ GET /a/c/, GET /a/b, GET /a/b/c ]\n');
  t.strictSame(
    nearestRules(two, 'a', 'GET', '/a/b/').map(({ rule }) => rule.text),
    ['GET /a/b', 'GET /a/c/', 'GET /a/b/c'],
  );
});

t.test('at most so many, the best first, however they stand in the file', async (t) => {
  const many = rulesOf(
    '    callers:\n      a: [ GET /1/2/3, GET /1/2, GET /1, GET /1/b, GET /1/2/c, GET /z ]\n',
  );
  const labels = (most?: number) =>
    nearestRules(many, 'a', 'GET', '/1/2/x', most).map(({ rule }) => rule.text);
  t.strictSame(labels(), ['GET /1/2/3', 'GET /1/2', 'GET /1/2/c']);
  t.strictSame(labels(1), ['GET /1/2/3']);
  t.equal(labels(10).length, 5, 'all that are within one step of the best');
});

t.test('a path that is none, a long segment, a rule with a tail', async (t) => {
  t.strictSame(nearest('backend', 'GET', 'api', 1), [
    '"backend: GET /api/status/*" (expects a path that starts with a slash, received "api")',
  ]);
  const long = 'x'.repeat(81);
  t.strictSame(nearest('backend', 'POST', `/api/${long}`, 1), [
    `"backend: POST /api/process" (expects segment 2 "process", received segment 2 "${'x'.repeat(80)}…")`,
  ]);
  t.strictSame(nearest('backend', 'POST', `/api/${'y'.repeat(80)}`, 1), [
    `"backend: POST /api/process" (expects segment 2 "process", received segment 2 "${'y'.repeat(80)}")`,
  ]);
  t.strictSame(nearest('backend', 'PUT', '/file/a/b/c/d', 1), [
    '"backend: * /files/**" (expects segment 1 "files", received segment 1 "file")',
  ]);
});
