import fc from 'fast-check';
import t from 'tap';
import { hashesIn } from '../../../sidecar/readiness/both-sides.ts';
import { coverageOfNames } from '../../../sidecar/signature/sign.ts';
import { componentHashes } from '../../../sidecar/signature/signature-base.ts';

t.test('reads the hashes that a verifier writes, whatever the components', async (t) => {
  const message = {
    method: 'GET',
    scheme: 'http',
    authority: 'npu-worker',
    target: '/a?b',
    path: '/a',
    query: '?b',
    field: () => 'a=1, b=2',
    fieldLines: () => ['a=1, b=2'],
    trailer: () => undefined,
  };
  const covered = ['@method', '@path', '"x-a";key="a"', '"x-b";bs', 'cookie'];
  const hashes = componentHashes(message, coverageOfNames(covered));
  const text = hashes.map(({ component, hash }) => `${component}=${hash}`).join(' ');
  t.same(hashesIn(text), hashes);
  t.equal(hashes.length, 5);
});

t.test('any text is read, in time that grows with its length', async (t) => {
  fc.assert(fc.property(fc.string(), (text) => Array.isArray(hashesIn(text))));
  const start = performance.now();
  hashesIn(`${'"a;b='.repeat(200_000)}"`);
  t.ok(performance.now() - start < 2_000);
});
