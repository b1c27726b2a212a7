import t from 'tap';
import { toKeyring } from '../../../sidecar/keyring/keyring-file.ts';
import { loadedKeys } from '../../../sidecar/keyring/loaded-keys.ts';
import { misfits } from '../../../sidecar/rotation/probe.ts';
import { fleetOf, keyringsOf } from '../../support/keyrings.ts';

const now = Date.parse('2026-11-23T12:00:00Z');

function loaded() {
  const keyrings = keyringsOf(fleetOf({ a: ['10.0.0.1'], b: ['10.0.0.2', '10.0.0.3'] }));
  return [...keyrings.values()].map((file) => ({
    service: file.service,
    host: file.host,
    keys: loadedKeys(toKeyring(file)),
  }));
}

t.test('keys of one registry fit, at both ends of every pair', async (t) => {
  t.strictSame(misfits(loaded(), now), []);
});

t.test('finds the pairs whose ends differ', async (t) => {
  const [a, b2, b3] = loaded();
  if (a === undefined || b2 === undefined || b3 === undefined) throw new Error('three sidecars');
  const accepted = b3.keys.inbound.a?.[0];
  if (accepted === undefined) throw new Error('a key');
  const all = [a, b2, b3];
  const pair = { caller: 'a@10.0.0.1', callee: 'b@10.0.0.3' };
  const good = { ...accepted };
  accepted.check = 'another';
  t.strictSame(misfits(all, now), [{ ...pair, why: 'the two hold different keys under a/1' }]);
  Object.assign(accepted, good, { kid: 'a/2' });
  t.strictSame(misfits(all, now), [{ ...pair, why: 'a/1 is not accepted there' }]);
  Object.assign(accepted, good, { not_after: '2026-11-23T11:00:00Z' });
  t.strictSame(misfits(all, now), [{ ...pair, why: 'a/1 has ended there' }]);
  b3.keys.inbound.a = [good];
  delete a.keys.outbound.b?.checks?.['10.0.0.3'];
  t.strictSame(misfits(all, now), [{ ...pair, why: 'there is no key for 10.0.0.3 to sign with' }]);
  delete a.keys.outbound.b?.checks;
  t.strictSame(misfits(all, now), [], 'a sidecar of 0.1 tells key ids alone');
  delete a.keys.outbound.b;
  t.equal(misfits(all, now).length, 2);
});

t.test('the check of a key tells the key to nobody', async (t) => {
  const text = JSON.stringify(loaded());
  for (const { outbound } of keyringsOf(fleetOf({ a: ['10.0.0.1'], b: ['10.0.0.2', '10.0.0.3'] })).values())
    for (const { keys } of Object.values(outbound))
      for (const key of Object.values(keys)) t.notOk(text.includes(key.slice(0, 16)));
});
