import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { deriveTlsPsk } from '../../sidecar/keyring/derive.ts';
import { ReplayMemory } from '../../sidecar/replay/replay-memory.ts';
import { DigestCheck } from '../../sidecar/signature/content-digest.ts';
import { PairKey } from '../../sidecar/signature/hmac.ts';
import type { VerifierKeys } from '../../sidecar/signature/verifier-keys.ts';
import { verifyRequest } from '../../sidecar/signature/verify.ts';
import { plainRequest } from '../support/plain-request.ts';

const secret = randomBytes(32);
const kid = 'main-backend/1';
const keyring: VerifierKeys = {
  service: 'npu-worker',
  host: '127.0.0.1',
  inbound: new Map([
    [kid, { kid, caller: 'main-backend', key: new PairKey(secret), notAfterMs: Number.POSITIVE_INFINITY }],
  ]),
};
const memory = ReplayMemory.ofCapacity(1000);
memory.use(kid, 0xffff_ffff, 0);

/** Verifies as inbound does, and answers with what it has found. */
const server = createServer(async (request, response) => {
  const body = await buffer(request);
  const fields = request.rawHeaders.flatMap((value, i, all) =>
    i % 2 === 0 ? [[value.toLowerCase(), all[i + 1] as string] as const] : [],
  );
  const authority = request.headers.host ?? '';
  const message = plainRequest({
    method: request.method ?? '',
    target: request.url ?? '',
    authority,
    fields,
  });
  const peer = (request.socket as Partial<TLSSocket>).encrypted === true ? 'main-backend' : undefined;
  const proof = verifyRequest(message, keyring, new Set(['npu-worker']), Date.now(), peer);
  let answer = proof.proven ? memory.admit(kid, proof.nonce, proof.created) : proof.denial.detail;
  if (body.length > 0 && proof.proven && proof.body.by !== 'tls') {
    const digest = new DigestCheck(proof.body.by === 'digest' ? proof.body.digest : '');
    digest.update(body);
    answer = digest.verdict()?.detail ?? answer;
  }
  response.writeHead(answer === 'fresh' ? 200 : 401).end(answer);
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
t.teardown(() => server.close());

/** The same inside TLS with the pair key. */
const sealed = createTlsServer(
  {
    minVersion: 'TLSv1.3',
    ciphers: 'TLS_AES_128_GCM_SHA256',
    ALPNProtocols: ['http/1.1'],
    pskCallback: (_, identity) => (identity === `countersign/1 ${kid}` ? deriveTlsPsk(secret) : null),
  },
  (socket) => server.emit('connection', socket),
);
sealed.listen(0, '127.0.0.1');
await once(sealed, 'listening');
const sealedUrl = `http://127.0.0.1:${(sealed.address() as AddressInfo).port}`;
t.teardown(() => sealed.close());

const folder = t.testdir({ 'job.json': '{"job": 7}\n' });
const keyringFile = join(folder, 'keyring.json');
await writeFile(
  keyringFile,
  JSON.stringify({
    service: 'main-backend',
    host: '127.0.0.2',
    outbound: { 'npu-worker': { kid, keys: { '127.0.0.1': secret.toString('base64') } } },
    inbound: {},
  }),
  { mode: 0o600 },
);

const example = (name: string) => fileURLToPath(new URL(`../../docs/examples/${name}`, import.meta.url));
const commands: Record<string, readonly string[]> = {
  Python: ['python3', example('call.py')],
  JavaScript: [process.execPath, example('call.mjs')],
  'sealed JavaScript': [process.execPath, example('sealed.mjs')],
  Go: ['go', 'run', example('call.go')],
};

function run(command: readonly string[], rest: readonly string[]): Promise<string> {
  const [program, ...args] = [...command, ...rest] as [string, ...string[]];
  return new Promise((resolve) => {
    execFile(program, args, (error, stdout, stderr) => resolve(error ? `${stdout}${stderr}` : stdout));
  });
}

for (const [language, command] of Object.entries(commands)) {
  t.test(`the ${language} example makes calls that are accepted`, async (t) => {
    const at = language.startsWith('sealed') ? sealedUrl : url;
    const get = await run(command, [keyringFile, 'npu-worker', 'GET', `${at}/api/status/a%20b?x=%2F&y`]);
    t.equal(get.trim(), '200 fresh');
    const job = join(folder, 'job.json');
    const post = await run(command, [keyringFile, 'npu-worker', 'POST', `${at}/api/process`, job]);
    t.equal(post.trim(), '200 fresh');
  });
}

t.test('the sealed example sends nothing to a callee with another key', async (t) => {
  let served = 0;
  const other = createTlsServer(
    {
      minVersion: 'TLSv1.3',
      ciphers: 'TLS_AES_128_GCM_SHA256',
      ALPNProtocols: ['http/1.1'],
      pskCallback: () => Buffer.alloc(32, 1),
    },
    () => served++,
  );
  other.listen(0, '127.0.0.1');
  await once(other, 'listening');
  t.teardown(() => other.close());
  const { port } = other.address() as AddressInfo;
  const command = [process.execPath, example('sealed.mjs')];
  const told = await run(command, [keyringFile, 'npu-worker', 'GET', `http://127.0.0.1:${port}/x`]);
  t.notMatch(told, /^200/);
  t.equal(served, 0);
});
