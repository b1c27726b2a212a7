import t from 'tap';
import { KeysInUse } from '../../../sidecar/rotation/keys-in-use.ts';
import { reconcile } from '../../../sidecar/rotation/reconcile.ts';

const now = Date.parse('2026-11-23T12:00:00Z');
const createdAt = '2026-11-01T00:00:00.000Z';
const root = (generation: number) => ({
  kid: `a/${generation}`,
  key: Buffer.alloc(32, generation),
  createdAt,
});
const lost = (generation: number) => ({
  kid: `a/${generation}`,
  key: undefined,
  createdAt: '2026-11-23T12:00:00.000Z',
});

/** What two callees accept, and what the caller's sidecars sign with. */
function inUse(signing: readonly number[], ...accepted: readonly (readonly number[])[]) {
  const keys = new KeysInUse();
  for (const generation of signing)
    keys.add({
      service: 'a',
      host: '10.0.0.1',
      outbound: { b: { kid: `a/${generation}`, keys: {} } },
      inbound: {},
    });
  for (const generations of accepted)
    keys.add({
      service: 'b',
      host: '10.0.0.2',
      outbound: {},
      inbound: { a: generations.map((generation) => ({ kid: `a/${generation}`, key: '' })) },
    });
  return keys.of('a');
}

t.test('what is signed with and accepted everywhere is current, lost or not', async (t) => {
  t.strictSame(reconcile('a', [], inUse([4], [4], [4]), now), { current: lost(4) });
  t.strictSame(reconcile('a', [{ current: root(4) }], inUse([4], [4], [4]), now), { current: root(4) });
  t.strictSame(
    reconcile('a', [{}, { current: root(3), pending: root(4) }], inUse([4], [4], [4]), now),
    { current: root(4) },
    'a backup of the middle of a rotation',
  );
});

t.test('lost in the middle of a rotation: nothing that is signed with stops being accepted', async (t) => {
  const half = reconcile('a', [], inUse([4], [5, 4], [4]), now);
  t.match(half, { current: { kid: 'a/4' } }, 'not every callee accepts 5');
  const switching = reconcile('a', [], inUse([4, 5], [5, 4], [5, 4]), now);
  t.match(switching, {
    current: { kid: 'a/5' },
    previous: { kid: 'a/4', notAfter: '2026-11-24T12:00:00.000Z' },
  });
});

t.test(
  'what was revoked stays revoked, and a service without keyrings has the root of the backup',
  async (t) => {
    const revoked = { generation: 5, at: createdAt };
    t.strictSame(reconcile('a', [{ current: root(4), revoked }], inUse([4], [4], [4]), now), { revoked });
    t.strictSame(reconcile('a', [{ current: root(2) }], inUse([]), now), { current: root(2) });
    t.strictSame(reconcile('a', [], inUse([]), now), {});
  },
);
