import t from 'tap';
import { furtherReadings, isPlainCall, readCall, shown } from '../../../sidecar/policy/call-readings.ts';
import { fieldNames } from '../../../sidecar/terms/field-names.ts';

t.test('a path is shown whole up to 200 characters, and cut where it is longer', async (t) => {
  const path = (length: number) => `/${'a'.repeat(length - 1)}`;
  for (const length of [1, 199, 200]) t.equal(shown(path(length)), `"${path(length)}"`, `${length}`);
  for (const length of [201, 202, 8000]) t.equal(shown(path(length)), `"${path(200)}…"`, `${length}`);
  t.equal(shown(`${path(200)}b`), `"${path(200)}…"`, 'what is cut off is the end');
});

t.test('attack: a path can not end its quotes, nor a line', async (t) => {
  t.equal(shown('/a"b\\c\r\n\x1b'), '"/a\\"b\\\\c\\r\\n\\u001b"');
});

const head = (fields: Readonly<Record<string, string>>) => ({
  known: (id: number) => fields[fieldNames[id] as string],
});
/** Every reading of `GET /a` with these fields, or what makes it ambiguous. */
const readings = (fields: Readonly<Record<string, string>>) => {
  const call = readCall('GET', '/a', furtherReadings(head(fields)));
  return call.ambiguous ? call.found : call.readings.map(({ method, path }) => `${method} ${path}`);
};

t.test('a request without such a field has one reading', async (t) => {
  t.equal(furtherReadings(head({ cookie: 'a=1' })), undefined);
  t.ok(isPlainCall('/a', undefined));
  t.notOk(isPlainCall('/a//b', undefined));
  t.notOk(isPlainCall('/a', furtherReadings(head({ 'x-http-method': 'GET' }))));
  t.notOk(isPlainCall('/a', furtherReadings(head({ 'x-original-url': '/a' }))));
});

t.test('every field adds readings, and every combination counts', async (t) => {
  for (const name of ['x-http-method', 'x-http-method-override', 'x-method-override'])
    t.strictSame(readings({ [name]: 'delete' }), ['GET /a', 'DELETE /a'], name);
  for (const name of ['x-original-url', 'x-rewrite-url'])
    t.strictSame(readings({ [name]: '/b' }), ['GET /a', 'GET /b'], name);
  t.strictSame(
    readings({
      'x-http-method': 'PUT',
      'x-method-override': 'DELETE',
      'x-original-url': '/b',
      'x-rewrite-url': '/c',
    }),
    ['GET', 'PUT', 'DELETE'].flatMap((method) => ['/a', '/b', '/c'].map((path) => `${method} ${path}`)),
  );
});

t.test('a URL counts by its path', async (t) => {
  for (const [value, path] of [
    ['/b?c=/d', '/b'],
    ['/b?c?d', '/b'],
    ['http://host/b?c', '/b'],
    ['HTTPS://host:8443/b', '/b'],
    ['http://[::1]:80/b', '/b'],
    ['http://host', '/'],
    ['http://host?c', '/'],
    ['/', '/'],
  ] as const)
    t.strictSame(readings({ 'x-original-url': value }), ['GET /a', `GET ${path}`], value);
  t.strictSame(
    readings({ 'x-original-url': '/b%2Fc' }),
    ['GET /a', 'GET /b%2Fc', 'GET /b/c'],
    'and every reading of it',
  );
});

t.test('attack: what can not be told is ambiguous', async (t) => {
  for (const name of ['x-original-url', 'x-rewrite-url'])
    for (const value of [
      '',
      'b',
      '?c',
      '/b,/c',
      '/b /c',
      '/b#c',
      '//host/b',
      '/b\x7f',
      '/\xff',
      'ftp://h/b',
      'http:///b',
      'http://h@b/c',
    ])
      t.equal(
        readings({ [name]: value }),
        `the call has a field ${name} that is not exactly one path or http URL`,
        value,
      );
  for (const name of ['x-http-method', 'x-http-method-override', 'x-method-override'])
    for (const value of ['', 'GET,PUT', 'GET, PUT', 'GE T', 'G\xc9T', 'CONNECT', 'trace', '"GET"'])
      t.equal(
        readings({ [name]: value }),
        `the call has a field ${name} that is not exactly one method`,
        value,
      );
  t.match(readings({ 'x-original-url': '/b/../c' }), /^the path "\/b\/\.\.\/c" holds /);
});
