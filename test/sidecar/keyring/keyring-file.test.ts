import t from 'tap';
import { parseKeyringFile, toKeyring } from '../../../sidecar/keyring/keyring-file.ts';
import { fleetOf, keyringsOf } from '../../support/keyrings.ts';

const fleet = fleetOf({ 'npu-worker': ['10.0.0.2'], 'main-backend': ['10.0.0.3'] });
const whole = keyringsOf(fleet).get('npu-worker@10.0.0.2')!;
const base64 = (bytes: number) => Buffer.alloc(bytes, 7).toString('base64');

t.test('takes keys of 32 bytes in canonical base64 and no others', async (t) => {
  t.equal(toKeyring(parseKeyringFile('keyring.json', JSON.stringify(whole))).service, 'npu-worker');
  const [kid] = whole.inbound['main-backend']!;
  const wrong = [0, 1, 16, 31, 33, 64].map(base64);
  for (const key of [
    ...wrong,
    base64(32).slice(0, -1),
    `${base64(32)}=`,
    base64(32).replace('=', '!'),
    `${base64(32)} `,
  ]) {
    const inbound = JSON.stringify({ ...whole, inbound: { 'main-backend': [{ ...kid, key }] } });
    const outbound = structuredClone(whole);
    outbound.outbound['main-backend']!.keys['10.0.0.3'] = key;
    for (const text of [inbound, JSON.stringify(outbound)])
      t.throws(() => parseKeyringFile('keyring.json', text), {
        code: 'keyring-malformed',
        message: /expected a key: 32 bytes in base64/,
      });
  }
});

t.test('an error names places and never a key', async (t) => {
  const secret = base64(31);
  const [kid] = whole.inbound['main-backend']!;
  const text = JSON.stringify({ ...whole, inbound: { 'main-backend': [{ ...kid, key: secret }] } });
  try {
    parseKeyringFile('keyring.json', text);
    t.fail('it was taken');
  } catch (error) {
    t.match(String(error), 'inbound.main-backend.0.key');
    t.notMatch(String(error), secret);
  }
});

t.test('a key id stands under its own caller, and once', async (t) => {
  const [key] = whole.inbound['main-backend']!;
  for (const inbound of [
    { 'main-backend': [key, key] },
    { 'main-backend': [{ ...key, kid: 'npu-worker/1' }] },
  ])
    t.throws(() => parseKeyringFile('keyring.json', JSON.stringify({ ...whole, inbound })), {
      code: 'keyring-malformed',
    });
});
