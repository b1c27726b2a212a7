import { createHmac } from 'node:crypto';
import fc from 'fast-check';
import t from 'tap';
import { PairKey } from '../../../sidecar/signature/hmac.ts';

t.test('takes keys of 32 to 64 bytes and no others', async (t) => {
  for (const length of [0, 1, 16, 31, 65, 1000])
    t.throws(() => new PairKey(Buffer.alloc(length, 7)), {
      name: 'RangeError',
      message: new RegExp(`${length}$`),
    });
  for (const length of [32, 33, 63, 64]) {
    const key = Buffer.alloc(length, 7);
    t.equal(new PairKey(key).macBase64('text'), createHmac('sha256', key).update('text').digest('base64'));
  }
});

t.test('is HMAC-SHA256, whichever keys take turns and however long the texts are', async (t) => {
  const secrets = Array.from({ length: 3 }, (_, n) => Buffer.alloc(32, n + 1));
  const keys = secrets.map((secret) => new PairKey(secret));
  const out = Buffer.alloc(32);
  const text = fc.oneof(
    fc.string({ unit: 'binary-ascii', maxLength: 300 }),
    // About the room that all keys use in turn, and beyond.
    fc.integer({ min: 4000, max: 4200 }).map((length) => 'x'.repeat(length)),
  );
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(2), text), { maxLength: 10 }), (calls) => {
      for (const [n, message] of calls) {
        const expected = createHmac('sha256', secrets[n]!).update(message, 'latin1').digest();
        if (keys[n]!.macBase64(message) !== expected.toString('base64')) return false;
        keys[n]!.macInto(message, out);
        if (!out.equals(expected)) return false;
      }
      return true;
    }),
  );
  t.pass();
});
