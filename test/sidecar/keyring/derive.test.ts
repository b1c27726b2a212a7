import { createHmac } from 'node:crypto';
import t from 'tap';
import { deriveTlsPsk, PairKeys, type PairName } from '../../../sidecar/keyring/derive.ts';

const root = Buffer.from('000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f', 'hex');
const derivePairKey = (from: Buffer, of: PairName) => Buffer.from(new PairKeys(from).base64(of), 'base64');
const pair = { caller: 'main-backend', callee: 'npu-worker', host: '172.16.168.22', generation: 3 };

t.test('derives as RFC 5869 says, worked out here with nothing but HMAC', (t) => {
  const prk = createHmac('sha256', Buffer.alloc(32)).update(root).digest();
  const info = 'countersign/1\nmain-backend\nnpu-worker\n172.16.168.22\n3';
  const expected = createHmac('sha256', prk)
    .update(info)
    .update(Buffer.from([1]))
    .digest();
  t.strictSame(derivePairKey(root, pair), expected);
  t.end();
});

t.test('gives the key of the published test vector', (t) => {
  t.equal(
    derivePairKey(root, pair).toString('hex'),
    '76b37e32ce0ad3028d4dd0c102dcd245bcf6842013f2111d7fcfb7bc3b16be91',
  );
  t.end();
});

t.test('gives another key for every other caller, callee, host, generation and root', (t) => {
  const keys = [
    derivePairKey(root, pair),
    derivePairKey(root, { ...pair, caller: 'frontend' }),
    derivePairKey(root, { ...pair, callee: 'ai-stack' }),
    derivePairKey(root, { ...pair, host: '172.16.168.23' }),
    derivePairKey(root, { ...pair, generation: 4 }),
    derivePairKey(root, { ...pair, caller: pair.callee, callee: pair.caller }),
    derivePairKey(Buffer.alloc(32, 7), pair),
  ].map((key) => key.toString('hex'));
  t.equal(new Set(keys).size, keys.length);
  t.end();
});

t.test('refuses a root of another length', (t) => {
  t.throws(() => derivePairKey(Buffer.alloc(31), pair), RangeError);
  t.end();
});

t.test('derives the pre-shared key of TLS as RFC 5869 says', (t) => {
  const pairKey = derivePairKey(root, pair);
  const prk = createHmac('sha256', Buffer.alloc(32)).update(pairKey).digest();
  const expected = createHmac('sha256', prk)
    .update('countersign/1\ntls-psk')
    .update(Buffer.from([1]))
    .digest();
  t.strictSame(deriveTlsPsk(pairKey), expected);
  t.equal(
    deriveTlsPsk(pairKey).toString('hex'),
    'e03c0c0c38d2031c3816fec45571704a5d8cc8fa14df4f8f7a683a6a65699b88',
    'the published test vector',
  );
  t.throws(() => deriveTlsPsk(Buffer.alloc(31)), RangeError);
  t.end();
});
