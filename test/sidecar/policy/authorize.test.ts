import fc from 'fast-check';
import t from 'tap';
import { parseYaml } from '../../../config/load.ts';
import { compileMatrix } from '../../../sidecar/config/authorization.ts';
import { authorize, isPublic } from '../../../sidecar/policy/authorize.ts';

const matrix = compileMatrix(
  parseYaml(
    'authorization.yaml',
    `services:
  npu-worker:
    public: [ GET /api/health ]
    callers:
      main-backend: [ POST /api/process, "GET,HEAD /api/status/*", "* /internal/**", GET /files/*, GET /files/a/b ]
      ai-stack: [ POST /api/inference ]
`,
  ),
);
const rules = matrix.of('npu-worker');
const denial = (caller: string | undefined, method: string, path: string) => {
  const answer = authorize(rules, caller, method, path);
  return answer.kind === 'denied' ? answer.denial : undefined;
};

t.test('a call is allowed by a rule of its caller, which is named', async (t) => {
  t.strictSame(authorize(rules, 'main-backend', 'HEAD', '/api/status/7'), {
    kind: 'allowed',
    rule: 'main-backend: GET,HEAD /api/status/*',
  });
  t.strictSame(authorize(rules, 'main-backend', 'PURGE', '/internal'), {
    kind: 'allowed',
    rule: 'main-backend: * /internal/**',
  });
});

t.test('a public route is for everybody, proven or not', async (t) => {
  t.equal(isPublic(rules, 'GET', '/api/health'), 'public: GET /api/health');
  for (const caller of [undefined, 'main-backend', 'stranger'])
    t.equal(authorize(rules, caller, 'GET', '/api/health').kind, 'public');
  for (const path of [
    '/api/health/',
    '/api/healthz',
    '/api/health/../x',
    '/api/health%2F..',
    '/api//health',
    '/api/HEALTH',
  ])
    t.equal(isPublic(rules, 'GET', path), undefined, path);
  t.equal(isPublic(rules, 'HEAD', '/api/health'), undefined);
});

t.test('default deny names the nearest rule and what differs', async (t) => {
  const cases: [string | undefined, string, string, string, string, string][] = [
    ['main-backend', 'GET', '/api/process', 'main-backend: POST /api/process', 'method POST', 'method GET'],
    [
      'main-backend',
      'GET',
      '/api/statuz/7',
      'main-backend: GET,HEAD /api/status/*',
      'segment 2 "status"',
      'segment 2 "statuz"',
    ],
    [
      'main-backend',
      'POST',
      '/API/process',
      'main-backend: POST /api/process',
      'segment 1 "api"',
      'segment 1 "API"',
    ],
    [
      'main-backend',
      'POST',
      '/api/process/',
      'main-backend: POST /api/process',
      'no slash at the end',
      'segment 3 ""',
    ],
    [
      'main-backend',
      'GET',
      '/api/status',
      'main-backend: GET,HEAD /api/status/*',
      'segment 3 that is not empty',
      'no segment 3',
    ],
    [
      'main-backend',
      'GET',
      '/api/status/7/x',
      'main-backend: GET,HEAD /api/status/*',
      'no segment 4',
      'segment 4 "x"',
    ],
    [
      'ai-stack',
      'POST',
      '/api/process',
      'ai-stack: POST /api/inference',
      'segment 2 "inference"',
      'segment 2 "process"',
    ],
    [
      'frontend',
      'POST',
      '/api/process',
      'main-backend: POST /api/process',
      'caller main-backend',
      'caller frontend',
    ],
    ['frontend', 'POST', '/api/health', 'public: GET /api/health', 'method GET', 'method POST'],
    [
      undefined,
      'POST',
      '/api/process',
      'main-backend: POST /api/process',
      'caller main-backend',
      'no proven caller',
    ],
    [
      'ai-stack',
      'OPTIONS',
      '*',
      'ai-stack: POST /api/inference',
      'a path that starts with a slash and method POST',
      '"*" and method OPTIONS',
    ],
  ];
  for (const [caller, method, path, rule, expected, received] of cases) {
    t.match(
      denial(caller, method, path),
      { reason: 'not-authorized', rule, expected, received },
      `${caller} ${method} ${path}`,
    );
  }
  t.match(
    denial('ai-stack', 'POST', '/api/process')?.detail,
    /expects caller main-backend, received caller ai-stack/,
  );
  t.match(denial('main-backend', 'POST', '/API/process')?.detail, /differ in case only/);
  t.match(
    denial('frontend', 'GET', '/x')?.detail,
    /add a rule under services\.npu-worker\.callers\.frontend/,
  );
});

t.test('a service without rules is told apart from one whose rules do not match', async (t) => {
  const answer = authorize(matrix.of('ai-stack'), 'main-backend', 'GET', '/x');
  t.match(answer, {
    kind: 'denied',
    denial: { reason: 'not-authorized', rule: 'default deny', detail: /no rule at all/ },
  });
});

t.test('attack: a path with several readings passes only if all of them are allowed', async (t) => {
  t.equal(authorize(rules, 'main-backend', 'GET', '/files/a%2Fb').kind, 'allowed');
  t.equal(authorize(rules, 'main-backend', 'GET', '/internal//x%2F/y').kind, 'allowed');
  const found = denial('main-backend', 'GET', '/files/a%2Fsecret');
  t.match(found, {
    reason: 'ambiguous-path',
    expected: 'a rule for main-backend that allows GET "/files/a/secret"',
  });
  t.match(found?.detail, '"/files/a%2Fsecret" (main-backend: GET /files/*), "/files/a/secret" (not allowed)');
  t.match(denial('main-backend', 'GET', '//api/status/7'), { reason: 'ambiguous-path' });
  t.match(denial('main-backend', 'GET', '/internal%2Fx'), { reason: 'ambiguous-path' });
  t.match(denial('main-backend', 'GET', '/internal/%2e%2E/x'), {
    reason: 'ambiguous-path',
    received: /a dot segment/,
  });
});

t.test('attack: a call is public only if every reading of it is', async (t) => {
  const open = compileMatrix(
    parseYaml(
      'authorization.yaml',
      `services:
  npu-worker:
    public: [ GET /files/*, "GET,HEAD /both/**", POST /upload ]
    callers:
      main-backend: [ "* /**" ]
`,
    ),
  ).of('npu-worker');
  const headers = (methods: readonly string[], paths: readonly string[] = []) =>
    ({ unreadable: false, methods, paths }) as const;
  const closed: readonly (readonly [string, string, ReturnType<typeof headers> | undefined])[] = [
    ['GET', '/files/a%2Fsecret', undefined],
    ['GET', '/files//secret', undefined],
    ['GET', '//both/a', undefined],
    ['GET', '/both%2Fa', undefined],
    ['GET', '/files/a', headers(['DELETE'])],
    ['GET', '/files/a', headers([], ['/secret'])],
    ['POST', '/upload', headers(['GET'])],
    // The last reading of several is the one that is not public.
    ['GET', '/both/a', headers(['HEAD', 'PUT'])],
    ['GET', '/both/a', headers(['HEAD'], ['/both/b', '/files/c'])],
  ];
  for (const [method, path, further] of closed) {
    const name = `${method} ${path} ${JSON.stringify(further)}`;
    t.equal(isPublic(open, method, path, further), undefined, name);
    t.equal(authorize(open, undefined, method, path, further).kind, 'denied', name);
    t.equal(authorize(open, 'main-backend', method, path, further).kind, 'allowed', `${name}: by its caller`);
  }
  for (const [method, path, further] of [
    ['GET', '/both//a%2Fb', undefined],
    ['GET', '/both/a', headers(['HEAD'], ['/both/b'])],
    ['GET', '/files/a', headers(['GET'], ['/files/b'])],
  ] as const) {
    t.ok(isPublic(open, method, path, further), path);
    t.equal(authorize(open, undefined, method, path, further).kind, 'public');
  }
  const unreadable = { unreadable: true, found: 'two methods' } as const;
  t.equal(isPublic(open, 'GET', '/files/a', unreadable), undefined);
  t.match(authorize(open, 'main-backend', 'GET', '/files/a', unreadable), {
    denial: { reason: 'ambiguous-path' },
  });
  t.equal(isPublic(open, 'GET', '/both/..%2Fx'), undefined, 'ambiguous, whatever the matrix says');
});

t.test('a denial never carries more of a long path than it takes to recognise it', async (t) => {
  const found = denial('main-backend', 'GET', `/${'x'.repeat(10_000)}/${'y'.repeat(5000)}`);
  t.ok(JSON.stringify(found).length < 2000);
});

t.test('attack: no path is allowed whose decoded, merged or resolved reading is not', async (t) => {
  const allowed = (path: string) =>
    /^\/internal(\/.*)?$/s.test(path) ||
    /^\/files\/[^/]+$/s.test(path) ||
    ['/files/a/b', '/api/health'].includes(path);
  const piece = fc.constantFrom(
    '/',
    '/',
    '//',
    'internal',
    'files',
    'a',
    'b',
    '%2F',
    '%2f',
    '..',
    '%2e',
    '.',
    '%61',
    ';x',
    '%5C',
    'api',
    'health',
    '%252e',
    '%20',
  );
  let passed = 0;
  fc.assert(
    fc.property(
      fc.constantFrom('/', '/internal/', '/internal', '/files/'),
      fc.array(piece, { maxLength: 8 }),
      (start, pieces) => {
        const path = start + pieces.join('');
        if (authorize(rules, 'main-backend', 'GET', path).kind === 'denied') return;
        passed++;
        const decoded = decodeURIComponent(path);
        const resolved = new URL(`http://x${path.replace(/^\/+/, '/')}`).pathname;
        for (const reading of [
          path,
          decoded,
          decoded.replace(/\/+/g, '/'),
          path.replace(/\/+/g, '/'),
          decodeURIComponent(resolved).replace(/\/+/g, '/'),
        ]) {
          if (!allowed(reading)) throw new Error(`${path} passed although it reads as ${reading}`);
        }
      },
    ),
    { numRuns: 5000 },
  );
  t.ok(passed > 50, `${passed} paths passed`);
});

t.test('a plain path is decided in half a microsecond', async (t) => {
  const run = () => {
    const start = process.cpuUsage();
    for (let i = 0; i < 200_000; i++) authorize(rules, 'main-backend', 'GET', '/api/status/job-17');
    return process.cpuUsage(start).user / 200_000;
  };
  const best = Math.min(...Array.from({ length: 5 }, run));
  t.comment(`${best.toFixed(3)} µs`);
  t.ok(best < 2, 'four times the goal, for machines that are busy');
});
