import fc from 'fast-check';
import t from 'tap';
import { isPlainPath, readPath } from '../../../sidecar/policy/paths.ts';

const readings = (path: string) => {
  const read = readPath(path);
  return read.ambiguous ? read.found : read.readings;
};

t.test('ordinary paths have one reading', async (t) => {
  for (const path of [
    '/',
    '/api',
    '/api/',
    '/a.b/c..d/...',
    '/.well-known/x',
    '/a;v=1/b',
    "/!$&'()*+,=:@-._~",
  ]) {
    t.strictSame(readings(path), [path]);
  }
  for (const path of ['/a%20b', '/caf%C3%A9', '/%7Euser', '/100%25', '/a%252Fb', '/{id}', '/a|b"<>^`'])
    t.strictSame(readings(path), [path], path);
});

t.test('an encoded slash and doubled slashes are read in every way', async (t) => {
  t.strictSame(readings('/a%2Fb'), ['/a%2Fb', '/a/b']);
  t.strictSame(readings('/a%2fb'), ['/a%2fb', '/a/b']);
  t.strictSame(readings('/a//b'), ['/a//b', '/a/b']);
  t.strictSame(readings('//a'), ['//a', '/a']);
  t.strictSame(readings('/a/%2Fb'), ['/a/%2Fb', '/a//b', '/a/b']);
  t.strictSame(readings('/a//%2Fb'), ['/a//%2Fb', '/a///b', '/a/%2Fb', '/a/b', '/a//b']);
});

t.test('attack: dot segments in every encoding', async (t) => {
  const dots = [
    '.',
    '%2e',
    '%2E',
    '%252e',
    '%25252E',
    '%c0%ae',
    '%C0%AE',
    '%25c0%25ae',
    '%e0%80%ae',
    '%f0%80%80%ae',
  ];
  const wide = ['%EF%BC%8E', '%E2%80%A4', '%ef%b9%92', '%25EF%25BC%258E'];
  const after = ['', ';', ';a=b', '%3b', '%3Bx', '%253b', '%3f', '%23'];
  const missed: string[] = [];
  const around: [string, string][] = [
    ['/a/', '/b'],
    ['/', ''],
    ['/a/', ''],
    ['/a%2F', '%2fb'],
    ['/a%252f', '/b'],
    ['//', '//'],
  ];
  for (const one of [...dots, ...wide]) {
    for (const segment of [one, ...[...dots, ...wide].map((two) => one + two)]) {
      for (const end of after) {
        for (const [before, behind] of around) {
          const path = before + segment + end + behind;
          if (!readPath(path).ambiguous) missed.push(path);
        }
      }
    }
  }
  t.strictSame(missed, []);
  t.match(readings('/a/../b'), 'a dot segment');
  t.match(readings('/a/%2e%252e/b'), 'a dot segment, percent-encoded 2 times over');
  t.match(readings('/%E2%80%A5/b'), 'normalise', 'the two-dot leader');
  t.match(readings('/a/..%EF%BC%8Fb'), 'normalise', 'a fullwidth slash behind dots');
});

t.test('attack: bytes that servers drop, fold or choke on', async (t) => {
  for (const path of ['/a\\b', '/a%5Cb', '/a%5cb', '/a%255cb', '/..%5c..'])
    t.ok(readPath(path).ambiguous, path);
  for (const path of ['/a%00', '/a%0a', '/a%0D%0Ab', '/a%7f', '/a%2500', '/a\x00', '/a\tb', '/a b', '/a\x7f'])
    t.ok(readPath(path).ambiguous, JSON.stringify(path));
  for (const path of ['/caf\xe9', '/caf\xc3\xa9', '/a\xa0', '/a\xff']) t.ok(readPath(path).ambiguous, path);
  for (const path of ['/%', '/%a', '/a%zz', '/%2', '/%u002e', '/%%32e', '/a%2 e'])
    t.ok(readPath(path).ambiguous, path);
  for (const path of ['/%ff', '/%E9', '/%C3', '/%ed%a0%80', '/%c1%9c']) t.ok(readPath(path).ambiguous, path);
  for (const path of ['/;x/a', '/a/;/b', '/%3bx/a', '/a%2F;/b']) t.ok(readPath(path).ambiguous, path);
});

t.test(
  'attack: encoding nested without end is refused in one pass a level, not decoded for ever',
  async (t) => {
    const bomb = `/%${'25'.repeat(8000)}2e`;
    t.match(readings(bomb), 'levels deep');
  },
);

t.test('plain paths are those that one regular expression describes', async (t) => {
  const described = /^\/$|^(?:\/(?!\.\.?(?:\/|$))[!$&'()*+,\-.0-9:=@A-Z_a-z~]+)+\/?$/;
  const part = fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom('/', '/', '.', '..', 'a', '...', '/api', '/.well-known') },
    fc.nat(300).map((code) => String.fromCharCode(code)),
  );
  let plain = 0;
  fc.assert(
    fc.property(fc.array(part, { maxLength: 8 }), fc.boolean(), (parts, rooted) => {
      const path = (rooted ? '/' : '') + parts.join('');
      if (isPlainPath(path) !== described.test(path)) throw new Error(JSON.stringify(path));
      if (isPlainPath(path)) plain++;
    }),
    { numRuns: 5000 },
  );
  t.ok(plain > 200, `${plain} of them are plain`);
  for (let code = 0; code < 300; code++) {
    const path = `/${String.fromCharCode(code)}`;
    t.equal(isPlainPath(path), described.test(path), JSON.stringify(path));
  }
});

t.test('the raw path comes first, and what is plain has that reading alone', async (t) => {
  const part = fc.constantFrom(
    '/',
    '//',
    '.',
    '..',
    '%2F',
    '%2e',
    '%25',
    ';',
    'a',
    'api',
    '%5c',
    '%C3%A9',
    '\\',
    '*',
  );
  const path = fc.array(part, { maxLength: 12 }).map((parts) => `/${parts.join('')}`);
  fc.assert(
    fc.property(path, (path) => {
      const read = readPath(path);
      if (isPlainPath(path)) {
        t.strictSame(read, { ambiguous: false, readings: [path] });
        t.notMatch(path, /%|\/\/|\/\.\.?(\/|$)|\\|;/);
      } else if (!read.ambiguous) {
        t.equal(read.readings[0], path);
        t.equal(read.readings.length > 1, /%2f|\/\//i.test(path));
      }
    }),
  );
});
