import t from 'tap';
import { exchange } from '../../support/raw-http.ts';
import { startTarget } from './target.ts';

const { app, inbound, signed } = await startTarget(t);

const methodFields = ['X-HTTP-Method', 'X-HTTP-Method-Override', 'X-Method-Override'];
const urlFields = ['X-Original-URL', 'X-Rewrite-URL'];
type Fields = readonly (readonly [string, string])[];

/** What a call of main-backend with these fields comes to: the status, and the reason when it is refused. */
async function called(target: string, fields: Fields): Promise<string> {
  const before = app.bytes.length;
  const { status, reason } = await exchange(t, inbound, signed({ target, fields }).bytes);
  t.equal(app.bytes.length > before, status === 200, 'the app gets what is allowed, and no byte of the rest');
  return reason === undefined ? String(status) : `${status} ${reason}`;
}

/** As `called`, of a stranger's call. */
async function asked(fields: Fields, target = '/api/health'): Promise<string> {
  const lines = fields.map(([name, value]) => `${name}: ${value}\r\n`).join('');
  const { status, reason } = await exchange(
    t,
    inbound,
    `GET ${target} HTTP/1.1\r\nHost: npu-worker\r\n${lines}\r\n`,
  );
  return reason === undefined ? String(status) : `${status} ${reason}`;
}

t.test('a method that a field asks for must be allowed as well', async (t) => {
  for (const name of methodFields) {
    for (const value of ['GET', 'get', 'Get'])
      t.equal(await called('/api/status/7', [[name, value]]), '200', value);
    for (const value of ['DELETE', 'delete', 'POST', 'PATCH', '*', 'G.E.T'])
      t.equal(await called('/api/status/7', [[name, value]]), '400 ambiguous-path', `${name}: ${value}`);
    t.equal(await called('/internal/a', [[name, 'PURGE']]), '200', 'by a rule for any method');
  }
});

t.test('a path that a field asks for must be allowed as well', async (t) => {
  for (const name of urlFields) {
    for (const value of [
      '/api/status/8',
      '/api/status/8?x=/admin',
      '/internal/x',
      '/api/health',
      'http://npu-worker/api/status/9',
      'https://elsewhere:8443/api/status/9?x',
      '/internal//x',
    ])
      t.equal(await called('/api/status/7', [[name, value]]), '200', `${name}: ${value}`);
    for (const value of [
      '/admin',
      '/api/process',
      '/api/status/8/..',
      '/api/status/%2e%2e/admin',
      '/api/status/a%2Fb',
      'http://npu-worker/admin',
      'http://npu-worker',
    ])
      t.equal(await called('/api/status/7', [[name, value]]), '400 ambiguous-path', `${name}: ${value}`);
  }
});

t.test('every combination must be allowed', async (t) => {
  const post = ['X-HTTP-Method-Override', 'POST'] as const;
  const process = ['X-Original-URL', '/api/process'] as const;
  t.equal(await called('/api/status/7', [post, process]), '400 ambiguous-path', 'GET /api/process is not');
  t.equal(await called('/internal/a', [post, process]), '400 ambiguous-path');
  t.equal(await called('/internal/a', [post, ['X-Rewrite-URL', '/internal/b']]), '200');
  t.equal(
    await called('/internal/a', [
      ['X-Original-URL', '/internal/b'],
      ['X-Rewrite-URL', '/admin'],
    ]),
    '400 ambiguous-path',
  );
});

t.test('repeated, empty, listed and unparseable values are ambiguous', async (t) => {
  for (const name of methodFields) {
    for (const value of ['', 'GET, GET', 'GET,DELETE', 'GET DELETE', '"GET"', 'GET;x', 'TRACE', 'connect'])
      t.equal(await called('/internal/a', [[name, value]]), '400 ambiguous-path', `${name}: ${value}`);
    const twice = [
      [name, 'GET'],
      [name, 'GET'],
    ] as const;
    t.equal(await called('/internal/a', twice), '400 ambiguous-path', `${name} twice`);
  }
  for (const name of urlFields) {
    for (const value of [
      ...[
        '',
        '/internal/a, /admin',
        '/internal/a,/admin',
        '/internal/a?x,/admin',
        'internal/a',
        '?x',
        '#',
        '*',
      ],
      ...[
        '/internal/a#x',
        '//internal/a',
        '///internal/a',
        'ftp://npu-worker/internal/a',
        'http:/internal/a',
      ],
      ...[
        'http:///internal/a',
        'http://user@npu-worker/internal/a',
        '/internal/a b',
        '/internal/\xe4',
        '\\internal',
      ],
    ])
      t.equal(await called('/internal/a', [[name, value]]), '400 ambiguous-path', `${name}: ${value}`);
    const twice = [
      [name, '/internal/a'],
      [name, '/internal/a'],
    ] as const;
    t.equal(await called('/internal/a', twice), '400 ambiguous-path', `${name} twice`);
  }
});

t.test('a call is public only if all its readings are', async (t) => {
  t.equal(await asked([['X-Original-URL', '/api/health']]), '200');
  t.equal(await asked([['X-HTTP-Method', 'GET']]), '200');
  for (const name of methodFields)
    for (const value of ['DELETE', 'POST', '', 'GET, GET'])
      t.equal(await asked([[name, value]]), '401 missing-signature', `${name}: ${value}`);
  for (const name of urlFields)
    for (const value of ['/api/status/7', '/admin', '', '/api/health,/admin', '/api/health/..'])
      t.equal(await asked([[name, value]]), '401 missing-signature', `${name}: ${value}`);
  t.equal(await called('/api/health', [['X-Original-URL', '/api/status/7']]), '200', 'a caller with both');
  t.equal(await called('/api/health', [['X-Original-URL', '/admin']]), '400 ambiguous-path');
  t.equal(await called('/api/status/7', [['X-Original-URL', '/api/health']]), '200');
});

t.test('a field that only folds to one of these reaches no app', async (t) => {
  for (const name of [...methodFields, ...urlFields])
    for (const separator of ['_', '.', '~'])
      t.equal(await asked([[name.replaceAll('-', separator), 'forged']]), '200');
  t.notMatch(app.bytes, /forged/);
});
