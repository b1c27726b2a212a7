/**
 * What signing and verifying one call costs: `node bench/signature.ts`. Prints microseconds of this thread's CPU time
 * per call, the median of several rounds; compare numbers of one run only.
 */

import { RequestHead } from '../sidecar/http1/request-head.ts';
import { contentDigest } from '../sidecar/signature/content-digest.ts';
import { requiredComponents } from '../sidecar/signature/coverage-rules.ts';
import { PairKey } from '../sidecar/signature/hmac.ts';
import { signRequest } from '../sidecar/signature/sign.ts';
import type { VerifierKeys } from '../sidecar/signature/verifier-keys.ts';
import { verifyRequest } from '../sidecar/signature/verify.ts';
import { fieldId, type KnownField } from '../sidecar/terms/field-names.ts';

const now = 1_764_000_000;
const kid = 'main-backend/3';
const key = new PairKey(Buffer.alloc(32, 7));
const keyring: VerifierKeys = {
  service: 'npu-worker',
  host: '172.16.168.22',
  inbound: new Map([[kid, { kid, caller: 'main-backend', key, notAfterMs: Number.POSITIVE_INFINITY }]]),
};
const audience = new Set(['npu-worker', 'npu-worker:15006']);
const fields: [string, string][] = [
  ['Host', 'npu-worker'],
  ['User-Agent', 'bench/1.0'],
  ['Accept', '*/*'],
  ['X-Service-ID', 'main-backend'],
  ['Content-Type', 'application/json'],
  ['Content-Length', '24'],
  ['Authorization', 'Bearer eyJhbGciOiJIUzI1NiJ9'],
  ['Content-Digest', contentDigest(Buffer.alloc(24))],
  ['X-Request-ID', '4f0c2f2e-8f3a-4a8e-9a53-7a4f4c0f8a11'],
];

/** A head as the data path's parser leaves it. */
function headOf(lines: readonly [string, string][]): RequestHead {
  const head = new RequestHead();
  head.method = 'POST';
  head.target = head.path = '/api/process';
  head.authority = 'npu-worker';
  let text = 'POST /api/process HTTP/1.1\r\n';
  lines.forEach(([name, value], i) => {
    const id = fieldId[name.toLowerCase() as KnownField] ?? 0;
    const start = text.length;
    text += `${name}: ${value}\r\n`;
    head.offsets.set(
      [start, start + name.length, start + name.length + 2, start + name.length + 2 + value.length],
      4 * i,
    );
    head.ids[i] = id;
    head.firstOf[id] = i + 1;
    head.countOf[id]!++;
  });
  head.fieldCount = lines.length;
  head.text = Buffer.from(`${text}\r\n`, 'latin1').toString('latin1');
  return head;
}

const unsigned = headOf(fields);
const sign = (nonce: string) =>
  signRequest(unsigned, requiredComponents(unsigned, 'digest'), key, { kid, created: now, nonce });
const heads = Array.from({ length: 1000 }, (_, i) => {
  const signed = sign(`bench-nonce-${String(i).padStart(8, '0')}`);
  return headOf([
    ...fields,
    ['Signature-Input', `svc=${signed.signatureInput}`],
    ['Signature', `svc=${signed.signature}`],
  ]);
});
const base = 'x'.repeat(420);

const subjects: Record<string, (i: number) => unknown> = {
  hmac: () => key.macBase64(base),
  sign: (i) => sign(`bench-nonce-${10_000_000 + i}`),
  verify: (i) => {
    const proof = verifyRequest(heads[i % heads.length] as RequestHead, keyring, audience, now * 1000);
    if (!proof.proven) throw new Error(proof.denial.detail);
    return proof;
  },
};

function cpuMicroseconds(): number {
  const { user, system } = process.threadCpuUsage();
  return user + system;
}

const calls = 50_000;
const rounds = 9;
const results = new Map<string, number[]>(Object.keys(subjects).map((name) => [name, []]));
for (let round = 0; round < rounds; round++)
  for (const [name, subject] of Object.entries(subjects)) {
    const start = cpuMicroseconds();
    for (let i = 0; i < calls; i++) subject(i);
    results.get(name)?.push((cpuMicroseconds() - start) / calls);
  }
for (const [name, times] of results)
  console.log(`${name.padEnd(8)} ${[...times].sort((a, b) => a - b)[rounds >> 1]?.toFixed(2)} µs`);
