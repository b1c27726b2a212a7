import fc from 'fast-check';
import t from 'tap';
import { Matcher } from '../../../sidecar/policy/matcher.ts';
import { parseRule, type Rule } from '../../../sidecar/policy/rule.ts';

const rule = (text: string): Rule => {
  const parsed = parseRule(text, 'a');
  if ('found' in parsed) throw new Error(`${parsed.found}: ${parsed.expected}`);
  return parsed;
};

/** The grammar of the documentation, read naively: one regular expression a rule. */
function naive(text: string, method: string, path: string): boolean {
  const [methods = '', pattern = ''] = text.split(' ');
  if (methods !== '*' && !methods.split(',').includes(method)) return false;
  const source = pattern
    .replace(/[.+$()[\]{}|^\\?]/g, '\\$&')
    .replace(/\/\*\*$/, '(?:/.*)?')
    .replace(/\/\*(?=\/|$|\()/g, '/[^/]+');
  return path.startsWith('/') && new RegExp(`^${source}$`, 's').test(path);
}

const segment = fc.constantFrom('a', 'b', 'api', 'A', 'a.b', 'x%20y', '');
const methods = fc.oneof(
  fc.constant('*'),
  fc.uniqueArray(fc.constantFrom('GET', 'HEAD', 'POST'), { minLength: 1 }).map((list) => list.join(',')),
);
const ruleText = fc
  .tuple(methods, fc.array(fc.oneof(segment, fc.constant('*')), { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(([method, segments, tail]) => `${method} /${[...segments, ...(tail ? ['**'] : [])].join('/')}`);
const call = fc.record({
  method: fc.constantFrom('GET', 'HEAD', 'POST', 'PUT'),
  path: fc.array(segment, { minLength: 1, maxLength: 5 }).map((segments) => `/${segments.join('/')}`),
});

t.test('the compiled matcher agrees with one regular expression a rule', async (t) => {
  let allowed = 0;
  fc.assert(
    fc.property(fc.array(ruleText, { maxLength: 8 }), fc.array(call, { maxLength: 20 }), (texts, calls) => {
      const matcher = new Matcher(texts.map(rule));
      for (const { method, path } of calls) {
        const found = matcher.match(method, path);
        const expected = texts.filter((text) => naive(text, method, path));
        if ((found === undefined) !== (expected.length === 0))
          throw new Error(`${method} ${path}: ${found?.text}`);
        if (found !== undefined && !expected.includes(found.text))
          throw new Error(`${found.text} does not match`);
        if (found !== undefined) allowed++;
      }
    }),
    { numRuns: 1000 },
  );
  t.ok(allowed > 200, 'the property saw calls that match');
});

t.test(
  'a rule is reported as covered exactly when a single earlier one matches all that it does',
  async (t) => {
    const paths = ['a', 'b', 'c', ''].flatMap((one) => [
      `/${one}`,
      ...['a', 'b', 'c', ''].flatMap((two) => [
        `/${one}/${two}`,
        `/${one}/${two}/a`,
        `/${one}/${two}/`,
        `/${one}/${two}/c/c`,
      ]),
    ]);
    const small = fc
      .tuple(methods, fc.array(fc.constantFrom('a', 'b', '*'), { minLength: 1, maxLength: 2 }), fc.boolean())
      .map(([method, segments, tail]) => `${method} /${[...segments, ...(tail ? ['**'] : [])].join('/')}`);
    fc.assert(
      fc.property(small, small, (first, second) => {
        const covered: Rule[] = [];
        new Matcher([rule(first), rule(second)], (one) => covered.push(one));
        const wider = ['GET', 'HEAD', 'POST', 'PUT'].every((method) =>
          paths.every((path) => !naive(second, method, path) || naive(first, method, path)),
        );
        if ((covered.length === 1) !== wider)
          throw new Error(`${first} | ${second}: ${covered.length}, ${wider}`);
      }),
      { numRuns: 2000 },
    );
    t.pass('held');
  },
);

t.test('the most specific rule answers', async (t) => {
  const matcher = new Matcher(
    ['* /api/x', 'GET /api/*', 'GET /api/**', 'GET,HEAD /api/x/y', 'GET /**'].map(rule),
  );
  const text = (method: string, path: string) => matcher.match(method, path)?.text;
  t.equal(text('GET', '/api/x'), '* /api/x');
  t.equal(text('GET', '/api/y'), 'GET /api/*');
  t.equal(text('GET', '/api'), 'GET /api/**');
  t.equal(text('GET', '/api/'), 'GET /api/**', 'an empty segment is none that * matches');
  t.equal(text('HEAD', '/api/x/y'), 'GET,HEAD /api/x/y');
  t.equal(text('GET', '/api/x/z'), 'GET /api/**', 'a branch that leads nowhere is left again');
  t.equal(text('HEAD', '/api/y'), undefined, 'GET does not imply HEAD');
  t.equal(text('GET', '/API/x'), 'GET /**', 'case-sensitive');
  t.equal(text('GET', 'api/x'), undefined);
  t.equal(text('GET', ''), undefined);
});

t.test('segments of one hash are told apart', async (t) => {
  // Pairs that FNV-1a of 32 bits gives the same number.
  const matcher = new Matcher(['GET /costarring/a', 'GET /liquid/b', 'GET /declinate/*'].map(rule));
  const text = (path: string) => matcher.match('GET', path)?.text;
  t.equal(text('/costarring/a'), 'GET /costarring/a');
  t.equal(text('/liquid/b'), 'GET /liquid/b');
  t.equal(text('/costarring/b'), undefined);
  t.equal(text('/liquid/a'), undefined);
  t.equal(text('/declinate/x'), 'GET /declinate/*');
  t.equal(text('/macallums/x'), undefined);
});

t.test('what does not match costs nothing: one rule and 20,000 take the same walk', async (t) => {
  const many = new Matcher(Array.from({ length: 20_000 }, (_, i) => rule(`GET /api/thing-${i}/*`)));
  const one = new Matcher([rule('GET /api/thing-7/*')]);
  const cost = (matcher: Matcher) => {
    const start = process.cpuUsage();
    for (let i = 0; i < 200_000; i++) matcher.match('GET', '/api/thing-7/x');
    return process.cpuUsage(start).user;
  };
  cost(many);
  cost(one);
  const ratio = Math.min(...[1, 2, 3].map(() => cost(many))) / Math.min(...[1, 2, 3].map(() => cost(one)));
  t.ok(ratio < 10, `20,000 rules took ${ratio.toFixed(1)} times as long as one`);
});
