import fc from 'fast-check';
import t from 'tap';
import { hashesIn } from '../../../sidecar/readiness/both-sides.ts';
import { coverageOfNames } from '../../../sidecar/signature/sign.ts';
import { componentHashes } from '../../../sidecar/signature/signature-base.ts';

const blank = {
  method: 'GET',
  scheme: 'http',
  authority: 'npu-worker',
  target: '/a?b',
  path: '/a',
  query: '?b',
  field: () => undefined,
  known: () => undefined,
  fieldLines: () => [],
  trailer: () => undefined,
  trailerNames: () => [],
};

t.test('reads the hashes that a verifier writes, whatever the components', async (t) => {
  const message = {
    ...blank,
    field: () => 'a=1, b=2',
    known: () => 'a=1, b=2',
    fieldLines: () => ['a=1, b=2'],
  };
  const covered = ['@method', '@path', '"x-a";key="a"', '"x-b";bs', 'cookie'];
  const hashes = componentHashes(message, coverageOfNames(covered), 'nonce');
  const text = hashes.map(({ component, hash }) => `${component}=${hash}`).join(' ');
  t.same(hashesIn(text), hashes);
  t.equal(hashes.length, 5);
});

t.test('whoever reads a hash cannot try out values against it without the nonce', async (t) => {
  const message = { ...blank, known: () => 'Basic dXNlcjpwYXNz' };
  const coverage = coverageOfNames(['authorization']);
  const hashes = ['one', 'other', 'one'].map((nonce) => componentHashes(message, coverage, nonce)[0]?.hash);
  t.equal(hashes[0], hashes[2]);
  t.not(hashes[0], hashes[1]);
});

t.test('any text is read, in time that grows with its length', async (t) => {
  fc.assert(fc.property(fc.string(), (text) => Array.isArray(hashesIn(text))));
  const start = performance.now();
  hashesIn(`${'"a;b='.repeat(200_000)}"`);
  // Backtracking would take minutes.
  t.ok(performance.now() - start < 20_000);
});
