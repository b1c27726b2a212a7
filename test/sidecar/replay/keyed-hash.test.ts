import fc from 'fast-check';
import t from 'tap';
import { KeyedHash } from '../../../sidecar/replay/keyed-hash.ts';

/** Key of the authors' reference implementation; messages are the bytes 0, 1, 2 and so on. */
const key = Int32Array.of(0x833d3433, 0x009f389f, 0x2398e64f, 0x417acf39);

/** Tags by message length, of the reference implementation in C with twelve rounds. */
const vectors: readonly (readonly [number, string])[] = [
  [0, '43cb1f4151eba0c2ff0a8ac37ee3f642'],
  [1, 'f9ac20679c35a846441aad3d777b7330'],
  [15, '03cfb44b283c8163fca71448c40a0aea'],
  [16, '5dd0e2a9fb5eac8c633a392e500c36f3'],
  [17, '8b5f6d5a202314f6220923689639e606'],
  [31, '1d3d30b101d74fca3b2eb54cd8cd36b4'],
  [32, '7796278407c647fadd752c0fd2f5a799'],
  [33, 'd74bb8672c0dfb3ab697e9cd5658edda'],
  [63, '2dd072e142b89efefb26b615049aa451'],
];

const hex = (hash: KeyedHash) =>
  [hash.w0, hash.w1, hash.w2, hash.w3].map((w) => (w >>> 0).toString(16).padStart(8, '0')).join('');

t.test('is Chaskey-12', async (t) => {
  const hash = new KeyedHash(key);
  for (const [length, tag] of vectors) {
    hash.hash(key, String.fromCharCode(...Array(length).keys()));
    t.equal(hex(hash), tag, `${length} bytes`);
  }
});

t.test('a prefix is the tag of its text as a first block', async (t) => {
  const hash = new KeyedHash(key);
  fc.assert(
    fc.property(fc.stringMatching(/^[!-~]{1,80}$/), fc.stringMatching(/^[!-~]{1,128}$/), (kid, nonce) => {
      hash.hash(key, kid);
      const bytes = Buffer.alloc(16);
      [hash.w0, hash.w1, hash.w2, hash.w3].forEach((w, i) => {
        bytes.writeInt32LE(w, 4 * i);
      });
      hash.hash(key, bytes.toString('latin1') + nonce);
      const expected = hex(hash);
      hash.hash(hash.prefix(kid), nonce);
      return hex(hash) === expected;
    }),
  );
  t.pass();
});
