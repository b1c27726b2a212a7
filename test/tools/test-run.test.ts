import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import t from 'tap';
import { root } from '../../tools/build.ts';
import { type FileResult, readTestRun } from '../../tools/test-run.ts';
import { summarize, summaryLines } from '../../tools/test-summary.ts';

const folder = t.testdir({
  'good.test.ts': `import t from 'tap';
t.test('outer', (t) => { t.test('inner', (t) => { t.ok(true); t.equal(1, 1); t.end(); }); t.end(); });`,
  'bad.test.ts': `import t from 'tap';
t.ok(true);
t.test('outer', (t) => { t.equal('a\\u0007', 'b', 'letters'); t.end(); });`,
  'empty.test.ts': `import 'tap';`,
  'skips.test.ts': `import t from 'tap';
t.test('one', { skip: 'no such thing here' }, (t) => { t.ok(true); t.end(); });`,
  'some-skips.test.ts': `import t from 'tap';
t.ok(true);
t.test('one', { skip: 'not today' }, (t) => t.end());`,
  'exits.test.ts': `import t from 'tap';
t.ok(true);
process.on('exit', () => { process.exitCode = 3; });`,
  'killed.test.ts': `import t from 'tap';
t.ok(true);
process.kill(process.pid, 'SIGKILL');`,
  'throws.test.ts': `import t from 'tap';
t.ok(true);
t.test('one', () => Promise.reject(new Error('out of the blue')));`,
});

async function run(...names: string[]): Promise<ReadonlyMap<string, FileResult>> {
  const files = names.map((name) => join(folder, `${name}.test.ts`));
  const tap = spawn(process.execPath, ['node_modules/.bin/tap', '--reporter=tap', '--jobs=2', ...files], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  const closed = once(tap, 'close');
  const results = new Map<string, FileResult>();
  await readTestRun(tap.stdout, (result) => {
    results.set((/([^/]+)\.test\.ts$/.exec(result.file) ?? [])[1] as string, result);
  });
  await closed;
  return results;
}

t.test('reads what each file of a real run came to', async (t) => {
  const results = await run('good', 'bad', 'empty', 'skips', 'some-skips', 'exits', 'killed', 'throws');
  const titles = (name: string) => results.get(name)?.failures.map(({ title }) => title);
  t.match(results.get('good'), { passed: 2, failures: [], skipped: [] });
  t.match(results.get('bad'), { passed: 1, failures: [{ title: 'outer › letters' }] });
  t.match(results.get('bad')?.failures[0]?.at, /bad\.test\.ts:3:/);
  t.match(results.get('bad')?.failures[0]?.detail, /-b[\s\S]*\+a/);
  t.same(titles('empty'), ['the file asserts nothing']);
  t.same(titles('skips'), ['the file skips all of its tests']);
  t.match(results.get('some-skips'), { passed: 1, failures: [], skipped: ['one: not today'] });
  t.same(titles('exits'), ['the file ended badly although every assertion holds']);
  t.ok((titles('killed')?.length ?? 0) > 0);
  t.match(titles('throws'), ['one › out of the blue']);
});

t.test('adds up: what did not run, and what passes only now and then, has failed', async (t) => {
  const good: FileResult = { file: 'a', passed: 4, failures: [], skipped: ['x: y'], seconds: 1 };
  const base = { expected: ['a'], results: new Map([['a', good]]), flaky: [], cutOff: undefined };
  t.match(summarize(base), { passed: 4, failed: 0, skipped: 1 });
  t.equal(summaryLines(base).at(-1), '4 passed, 0 failed, 1 skipped');
  const missing = { ...base, expected: ['a', 'b'] };
  t.match(summarize(missing), { failed: 1, problems: ['b did not run to its end'] });
  t.equal(summarize({ ...base, expected: [], results: new Map() }).failed, 1, 'nothing was selected');
  t.equal(summarize({ ...base, cutOff: 'ended by SIGKILL' }).failed, 1);
  t.equal(summarize({ ...base, flaky: ['a', 'b'] }).failed, 0);
  t.equal(summarize({ ...base, flaky: ['a', 'b', 'c'] }).failed, 1);
});

t.test('a failure is told with its file, place and difference, and without control characters', async (t) => {
  const failures = [{ title: 'outer › letters', at: 'bad.test.ts:3:4', detail: '-b\n+a\u0007\u001b[2J' }];
  const bad: FileResult = { file: 'bad.test.ts', passed: 1, failures, skipped: [], seconds: 1 };
  const lines = summaryLines({
    expected: ['bad.test.ts'],
    results: new Map([['bad.test.ts', bad]]),
    flaky: [],
    cutOff: undefined,
  });
  t.match(
    lines.join('\n'),
    'FAILED   bad.test.ts: outer › letters\n         at bad.test.ts:3:4\n         -b\n         +a\\x07\\x1b[2J',
  );
  t.equal(lines.at(-1), '1 passed, 1 failed');
});
