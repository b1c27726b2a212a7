import t from 'tap';
import { parseRule, type Rule, textOfLabel } from '../../../sidecar/policy/rule.ts';

t.test('a rule as it is compiled', async (t) => {
  t.strictSame(parseRule('GET,HEAD /api/status/*', 'backend'), {
    text: 'GET,HEAD /api/status/*',
    caller: 'backend',
    label: 'backend: GET,HEAD /api/status/*',
    methods: ['GET', 'HEAD'],
    segments: ['api', 'status', '*'],
    tail: false,
  });
  t.strictSame(parseRule('* /internal/**'), {
    text: '* /internal/**',
    caller: undefined,
    label: 'public: * /internal/**',
    methods: '*',
    segments: ['internal'],
    tail: true,
  });
  t.match(parseRule('M-SEARCH /'), { methods: ['M-SEARCH'], segments: [''], tail: false });
  t.match(parseRule('* /**'), { segments: [], tail: true });
  t.equal(textOfLabel((parseRule('GET /a: b'.replace(' b', ''), 'backend') as Rule).label), 'GET /a:');
});

t.test('attack: a rule that is none says what was found and expected', async (t) => {
  const cases: [text: string, found: string, expected: RegExp][] = [
    ['GET', '"GET"', /one space and a path.*; in a flow list quote several methods/],
    ['/x', '"/x"', /one space and a path, such as GET \/api\/status\/\*$/],
    ['GET  /x', '"GET  /x"', /one space and a path/],
    ['GET x', '"GET x"', /one space and a path/],
    ['GET /x y', '"GET /x y"', /one space and a path/],
    ['get /x', 'the method "get" in "get /x"', /methods in capitals/],
    ['GET,,PUT /x', 'the method "" in "GET,,PUT /x"', /methods in capitals/],
    ['GET,* /x', 'the method "*" in "GET,* /x"', /methods in capitals/],
    ['-A /x', 'the method "-A" in "-A /x"', /methods in capitals/],
    ['CONNECT /x', '"CONNECT /x"', /^no CONNECT/],
    ['GET,TRACE /x', '"GET,TRACE /x"', /^no TRACE/],
    ['GET,PUT,GET /x', '"GET,PUT,GET /x"', /each method once/],
    ['GET /x?y', '"GET /x?y"', /without query/],
    ['GET /x#y', '"GET /x#y"', /without query/],
    ['GET /**/x', '"GET /**/x"', /as the last segment only/],
    ['GET /x*', '"GET /x*"', /as a whole segment/],
    ['GET /***', '"GET /***"', /as a whole segment/],
    ['GET /a/../b', 'a dot segment in "GET /a/../b"', /that some call can have/],
  ];
  for (const [text, found, expected] of cases) t.match(parseRule(text, 'backend'), { found, expected }, text);
});
