import t from 'tap';
import { toKeyring } from '../../../sidecar/keyring/keyring-file.ts';
import { loadedKeys } from '../../../sidecar/keyring/loaded-keys.ts';
import { misfits } from '../../../sidecar/rotation/probe.ts';
import { fleetOf, keyringsOf } from '../../support/keyrings.ts';

const keyrings = () => keyringsOf(fleetOf({ a: ['10.0.0.1'], b: ['10.0.0.2', '10.0.0.3'] }));

function loaded(place: string) {
  const given = keyrings().get(place);
  if (given === undefined) throw new Error(`no keyring of ${place}`);
  const { service, host } = given;
  return { given, at: { service, host, keys: loadedKeys(toKeyring(given)) } };
}

t.test('a sidecar that has loaded what the registry gives it fits, in every pair', async (t) => {
  for (const place of keyrings().keys()) {
    const { given, at } = loaded(place);
    t.strictSame(misfits(at, given), [], place);
  }
});

t.test('finds the pairs of which this end holds another key, or none', async (t) => {
  const { given, at } = loaded('b@10.0.0.3');
  const accepted = at.keys.inbound.a?.[0];
  if (accepted === undefined) throw new Error('a key');
  const good = { ...accepted };
  const pair = { caller: 'a', callee: 'b@10.0.0.3' };
  accepted.check = 'another';
  t.strictSame(misfits(at, given), [{ ...pair, why: 'found another key under a/1' }]);
  Object.assign(accepted, good, { kid: 'a/2' });
  t.strictSame(misfits(at, given), [{ ...pair, why: 'found no key, expected a/1' }]);
  delete accepted.check;
  accepted.kid = 'a/1';
  t.strictSame(misfits(at, given), [], 'a sidecar of 0.1 tells key ids alone');

  const signer = loaded('a@10.0.0.1');
  const signing = signer.at.keys.outbound.b;
  if (signing?.checks === undefined) throw new Error('a key to sign with');
  signing.checks['10.0.0.2'] = 'another';
  delete signing.checks['10.0.0.3'];
  t.strictSame(misfits(signer.at, signer.given), [
    { caller: 'a@10.0.0.1', callee: 'b@10.0.0.2', why: 'found another key under a/1' },
    { caller: 'a@10.0.0.1', callee: 'b@10.0.0.3', why: 'found no key under a/1' },
  ]);
  signing.kid = 'a/0';
  t.match(misfits(signer.at, signer.given), [{ why: 'found a/0, expected a/1' }, {}]);
  delete signer.at.keys.outbound.b;
  t.match(misfits(signer.at, signer.given), [{ why: 'found no key, expected a/1' }, {}]);
});

t.test('the check of a key tells the key to nobody', async (t) => {
  const text = JSON.stringify([...keyrings().keys()].map((place) => loaded(place).at));
  for (const { outbound } of keyrings().values())
    for (const { keys } of Object.values(outbound))
      for (const key of Object.values(keys)) t.notOk(text.includes(key.slice(0, 16)));
});
