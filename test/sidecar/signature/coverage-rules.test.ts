import t from 'tap';
import { coverageOf } from '../../../sidecar/signature/components.ts';
import {
  alwaysCovered,
  applyRules,
  checkCoverage,
  coveredWhenPresent,
  hasBody,
  requiredComponents,
} from '../../../sidecar/signature/coverage-rules.ts';
import { type InnerList, parseList } from '../../../sidecar/signature/structured-fields.ts';
import { plainRequest } from '../../support/plain-request.ts';

type Fields = [string, string][];
const request = (...fields: Fields) => plainRequest({ method: 'POST', target: '/a', fields });
const chunked: Fields = [['transfer-encoding', 'chunked']];
const listed: Fields = [...chunked, ['trailer', 'Content-Digest, Signature, Signature-Input']];

t.test('a body is what RFC 9112 calls one', async (t) => {
  t.equal(hasBody(request()), false);
  t.equal(hasBody(request(['content-length', '0'])), false);
  t.equal(hasBody(request(['content-length', '000'])), false);
  t.equal(hasBody(request(['content-length', '10'])), true);
  t.equal(hasBody(request(...chunked)), true);
});

t.test('what our own signature covers', async (t) => {
  const of = (proof: 'digest' | 'trailer' | 'tls', fields: Fields, further: string[] = []) =>
    requiredComponents(request(...fields), proof, further).slice(alwaysCovered.length);
  t.strictSame(requiredComponents(request(), 'digest').slice(0, 5), [...alwaysCovered]);
  t.strictSame(of('digest', []), []);
  t.strictSame(of('digest', [['content-length', '3']]), ['content-digest']);
  t.strictSame(of('tls', [['content-length', '3']]), [], 'TLS proves the body');
  t.strictSame(of('trailer', [['content-length', '3']]), ['trailer']);
  t.strictSame(of('trailer', []), ['trailer']);
  for (const name of coveredWhenPresent) {
    t.strictSame(of('digest', [[name, 'x']]), [name]);
    t.strictSame(of('trailer', [[name, 'x']]), ['trailer', name]);
  }
  const all = coveredWhenPresent.map((name): [string, string] => [name, 'x']);
  t.strictSame(of('tls', all), [...coveredWhenPresent]);
  t.strictSame(of('tls', [['x-user-id', '7']], ['x-user-id', 'x-end-user']), ['x-user-id']);
  t.strictSame(
    of(
      'digest',
      [
        ['x-user-id', '7'],
        ['content-length', '3'],
      ],
      ['x-user-id'],
    ),
    ['content-digest', 'x-user-id'],
  );
  t.equal(
    requiredComponents(request(['cookie', 'a']), 'digest'),
    requiredComponents(request(['cookie', 'b']), 'digest'),
    'the same array for the same fields',
  );
});

/** What is missing of a coverage, or how the body is proven. */
function judged(covered: readonly string[], fields: Fields, sealed = false, further: string[] = []) {
  const [list] = parseList(`(${covered.map((name) => `"${name}"`).join(' ')})`);
  return applyRules(
    checkCoverage(coverageOf((list as InnerList).items)),
    request(...fields),
    sealed,
    further,
  );
}

t.test('every component that is always covered is demanded, sealed or not', async (t) => {
  for (const sealed of [false, true]) {
    t.equal(judged(alwaysCovered, [], sealed), 'none');
    for (const name of alwaysCovered)
      t.strictSame(
        judged(
          alwaysCovered.filter((each) => each !== name),
          [],
          sealed,
        ),
        { missing: [name] },
      );
    for (const name of coveredWhenPresent) {
      t.strictSame(judged(alwaysCovered, [[name, 'x']], sealed), { missing: [name] });
      t.equal(judged([...alwaysCovered, name], [[name, 'x']], sealed), 'none');
    }
  }
});

t.test('fields of fleet.yaml are demanded on plain connections, where somebody could add them', async (t) => {
  const further = ['x-user-id', 'x-end-user'];
  t.strictSame(judged(alwaysCovered, [['x-user-id', '7']], false, further), { missing: ['x-user-id'] });
  t.equal(judged([...alwaysCovered, 'x-user-id'], [['x-user-id', '7']], false, further), 'none');
  t.equal(judged(alwaysCovered, [['x-user-id', '7']], true, further), 'none');
  t.equal(judged(alwaysCovered, [['x-other', '7']], false, further), 'none');
});

t.test('how a body is proven', async (t) => {
  const length: Fields = [['content-length', '3']];
  const digest = [...alwaysCovered, 'content-digest'];
  const trailer = [...alwaysCovered, 'trailer'];
  t.strictSame(judged(alwaysCovered, length), { missing: ['content-digest'] });
  t.equal(judged(digest, length), 'digest');
  t.equal(judged(digest, []), 'digest', 'one that is covered is checked, body or not');
  t.equal(judged(alwaysCovered, length, true), 'tls');
  t.equal(judged(digest, length, true), 'digest');
  t.equal(judged(trailer, listed, true), 'trailer');
  t.equal(judged(trailer, listed), 'trailer');
  t.equal(judged(trailer, []), 'none');
  t.match(judged(trailer, chunked), {
    missing: ['content-digest'],
    hint: /^Trailer must list content-digest, signature/,
  });
  t.match(judged(trailer, [...length, ['trailer', 'content-digest, signature, signature-input']]), {
    missing: ['content-digest'],
    hint: /not chunked/,
  });
});

t.test(
  'attack: a Trailer field that leaves one of ours out, repeats one, or names an identity',
  async (t) => {
    const trailer = [...alwaysCovered, 'trailer'];
    const names = 'content-digest, signature, signature-input';
    t.equal(judged(trailer, [...chunked, ['trailer', `${names}, x-sum`]]), 'trailer');
    for (const list of [
      'signature, signature-input',
      'content-digest, signature-input',
      'content-digest, signature',
      `${names}, signature`,
      `${names}, x-service-id`,
      `${names}, X.Service~ID`,
      '',
    ])
      t.match(judged(trailer, [...chunked, ['trailer', list]]), { missing: ['content-digest'] }, list);
  },
);
