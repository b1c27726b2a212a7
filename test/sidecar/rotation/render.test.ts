import t from 'tap';
import { PairKeys } from '../../../sidecar/keyring/derive.ts';
import { parseKeyringFile } from '../../../sidecar/keyring/keyring-file.ts';
import { CarriedKeys } from '../../../sidecar/rotation/carried-keys.ts';
import { keyringText } from '../../../sidecar/rotation/out-folder.ts';
import { KeyringRenderer, renderKeyrings } from '../../../sidecar/rotation/render.ts';
import {
  graceOf,
  type Place,
  placeName,
  type Registry,
  type RotationPhase,
  rootsInForce,
  type ServiceRoots,
} from '../../../sidecar/rotation/roots.ts';
import { fleetOf } from '../../support/keyrings.ts';

const now = Date.parse('2026-11-23T12:00:00Z');
const createdAt = '2026-11-01T00:00:00.000Z';
const root = (service: string, generation: number) => ({
  kid: `${service}/${generation}`,
  key: Buffer.alloc(32, `${service}${generation}`),
  createdAt,
});
const until = (service: string, generation: number, notAfter = '2026-11-24T00:00:00.000Z') => ({
  ...root(service, generation),
  notAfter,
});
const fleet = fleetOf({ a: ['10.0.0.1'], b: ['10.0.0.2', '10.0.0.3'], c: ['10.0.0.4'] });

function registry(
  services: Record<string, ServiceRoots>,
  phase?: RotationPhase,
  rotating = ['a', 'b', 'c'],
): Registry {
  const rotation = { id: '1', services: rotating, startedAt: createdAt };
  return {
    services: new Map(Object.entries(services)),
    ...(phase && { rotation: { ...rotation, phase } }),
  };
}

const keyed = { a: { current: root('a', 1) }, b: { current: root('b', 4) }, c: { current: root('c', 2) } };

t.test('gives every sidecar the pair keys of its own calls and of its callers, and no others', (t) => {
  const keyrings = renderKeyrings(fleet, registry(keyed), now);
  t.strictSame([...keyrings.keys()], ['a@10.0.0.1', 'b@10.0.0.2', 'b@10.0.0.3', 'c@10.0.0.4']);
  const key = (caller: string, generation: number, callee: string, host: string) =>
    new PairKeys(root(caller, generation).key).base64({ caller, callee, host, generation });
  t.strictSame(keyrings.get('b@10.0.0.3'), {
    service: 'b',
    host: '10.0.0.3',
    outbound: {
      a: { kid: 'b/4', keys: { '10.0.0.1': key('b', 4, 'a', '10.0.0.1') } },
      b: {
        kid: 'b/4',
        keys: { '10.0.0.2': key('b', 4, 'b', '10.0.0.2'), '10.0.0.3': key('b', 4, 'b', '10.0.0.3') },
      },
      c: { kid: 'b/4', keys: { '10.0.0.4': key('b', 4, 'c', '10.0.0.4') } },
    },
    inbound: {
      a: [{ kid: 'a/1', key: key('a', 1, 'b', '10.0.0.3') }],
      b: [{ kid: 'b/4', key: key('b', 4, 'b', '10.0.0.3') }],
      c: [{ kid: 'c/2', key: key('c', 2, 'b', '10.0.0.3') }],
    },
  });
  const seen = JSON.stringify(keyrings.get('b@10.0.0.3'));
  t.notOk(seen.includes(key('a', 1, 'c', '10.0.0.4')), 'b cannot speak as a to c');
  t.notOk(seen.includes(key('a', 1, 'b', '10.0.0.2')), 'nor check, or replay, what is for its other host');
  for (const { key } of [root('a', 1), root('b', 4)])
    t.notOk(seen.includes(key.toString('base64')), 'no root');
  for (const keyring of keyrings.values()) parseKeyringFile('as written', keyringText(keyring));
  t.end();
});

t.test('during a rotation verifiers have both generations, and signers change when they are told', (t) => {
  const state = { ...keyed, a: { current: root('a', 1), pending: root('a', 2), previous: until('a', 0) } };
  for (const [phase, signing] of [
    ['staging', 'a/1'],
    ['switching', 'a/2'],
    ['promoting', 'a/2'],
    ['retiring', 'a/2'],
  ] as const) {
    const keyrings = renderKeyrings(fleet, registry(state, phase), now);
    t.equal(keyrings.get('a@10.0.0.1')?.outbound.b?.kid, signing);
    const accepted = keyrings.get('b@10.0.0.2')?.inbound.a?.map(({ kid }) => kid);
    t.ok(accepted?.includes('a/1') && accepted.includes('a/2'), phase);
  }
  const outside = renderKeyrings(fleet, registry(state, 'switching', ['b']), now);
  t.equal(
    outside.get('a@10.0.0.1')?.outbound.b?.kid,
    'a/1',
    'a pending root outside of a rotation does not count',
  );
  t.end();
});

t.test('an old generation is accepted until its end, and not written after it', (t) => {
  const state = { ...keyed, a: { current: root('a', 2), previous: until('a', 1) } };
  const inbound = (at: number) => renderKeyrings(fleet, registry(state), at).get('c@10.0.0.4')?.inbound.a;
  t.match(inbound(now), [{ kid: 'a/2' }, { kid: 'a/1', not_after: '2026-11-24T00:00:00.000Z' }]);
  t.notOk(inbound(now)?.[0]?.not_after);
  t.strictSame(
    inbound(Date.parse('2026-11-24T00:00:00Z'))?.map(({ kid }) => kid),
    ['a/2'],
  );
  t.end();
});

t.test('a revoked service neither calls nor is called', (t) => {
  const state = { ...keyed, a: { current: root('a', 1), revoked: { generation: 2, at: createdAt } } };
  const keyrings = renderKeyrings(fleet, registry(state), now);
  t.strictSame(keyrings.get('a@10.0.0.1'), { service: 'a', host: '10.0.0.1', outbound: {}, inbound: {} });
  t.strictSame(Object.keys(keyrings.get('b@10.0.0.2')?.inbound ?? {}), ['b', 'c']);
  t.strictSame(Object.keys(keyrings.get('b@10.0.0.2')?.outbound ?? {}), ['b', 'c']);
  t.end();
});

t.test('writes that come too late do not count: generations only rise', (t) => {
  const revoked = { generation: 5, at: createdAt };
  t.strictSame(rootsInForce({ current: root('a', 5), pending: root('a', 4), revoked }), {});
  t.strictSame(
    rootsInForce({ current: root('a', 6), pending: root('a', 5), previous: until('a', 4), revoked }),
    {
      current: root('a', 6),
    },
  );
  t.strictSame(rootsInForce({ current: root('a', 3), pending: root('a', 3), previous: until('a', 4) }), {
    current: root('a', 3),
  });
  t.end();
});

t.test('a revoked host gets no keyring, and its callers keep their keys for it', (t) => {
  const state = { ...registry(keyed), revokedHosts: new Map([['10.0.0.3', createdAt]]) };
  const keyrings = renderKeyrings(fleet, state, now);
  t.strictSame([...keyrings.keys()], ['a@10.0.0.1', 'b@10.0.0.2', 'c@10.0.0.4']);
  t.ok(keyrings.get('a@10.0.0.1')?.outbound.b?.keys['10.0.0.3']);
  t.equal(graceOf('b', root('b', 4), fleet, state), 86_400, 'a root of after the revocation was never there');
  const older = { ...root('b', 3), createdAt: '2026-10-01T00:00:00.000Z' };
  t.equal(graceOf('b', older, fleet, state), 300);
  t.equal(graceOf('a', older, fleet, state), 86_400, 'a service that has no sidecar there');
  t.end();
});

t.test('the pair keys of a lost root are those that the keyrings hold', (t) => {
  const before = renderKeyrings(fleet, registry(keyed), now);
  const carried = new CarriedKeys(new Set(['a/1']));
  for (const keyring of before.values()) carried.add(keyring);
  const lost = { kid: 'a/1', key: undefined, createdAt };
  const state = registry({ ...keyed, a: { current: lost, pending: root('a', 2) } }, 'staging');
  const renderer = new KeyringRenderer(fleet, state, now, carried);
  const [own, callee] = ['a@10.0.0.1', 'b@10.0.0.3'].map((name) =>
    renderer.keyringOf(renderer.places.find((place) => placeName(place) === name) as Place),
  );
  t.strictSame(own?.outbound, before.get('a@10.0.0.1')?.outbound);
  t.strictSame(callee?.inbound.a?.[1], before.get('b@10.0.0.3')?.inbound.a?.[0]);
  t.equal(callee?.inbound.a?.[0]?.kid, 'a/2');
  t.end();
});
