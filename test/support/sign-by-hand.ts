import { createHash, createHmac, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import type { OutgoingHttpHeaders } from 'node:http';

export interface PairSecret {
  readonly caller: string;
  readonly kid: string;
  /** 32 bytes. */
  readonly key: Buffer;
}

/** The key that a keyring signs with for one callee on 127.0.0.1. */
export async function pairSecret(keyringFile: string, callee: string): Promise<PairSecret> {
  const keyring = JSON.parse(await readFile(keyringFile, 'utf8')) as {
    service: string;
    outbound: Record<string, { kid: string; keys: Record<string, string> }>;
  };
  const pair = keyring.outbound[callee];
  const key = pair?.keys['127.0.0.1'];
  if (pair === undefined || key === undefined) throw new Error(`${keyringFile} has no key for ${callee}`);
  return { caller: keyring.service, kid: pair.kid, key: Buffer.from(key, 'base64') };
}

/** Signs a POST of JSON by RFC 9421 and 9530 with nothing of ours: the fields to send with it. */
export function signPost(
  secret: PairSecret,
  callee: string,
  path: string,
  body: string,
): OutgoingHttpHeaders {
  const digest = `sha-256=:${createHash('sha256').update(body).digest('base64')}:`;
  const covered = [
    '@method',
    '@authority',
    '@path',
    '@query',
    'x-service-id',
    'content-digest',
    'content-type',
  ];
  const values = ['POST', callee, path, '?', secret.caller, digest, 'application/json'];
  const created = Math.floor(Date.now() / 1000);
  const nonce = randomBytes(16).toString('base64url');
  const names = covered.map((name) => `"${name}"`).join(' ');
  const params = `(${names});created=${created};keyid="${secret.kid}";nonce="${nonce}";tag="countersign"`;
  const lines = covered.map((name, index) => `"${name}": ${values[index]}`);
  const base = [...lines, `"@signature-params": ${params}`].join('\n');
  const mac = createHmac('sha256', secret.key).update(base).digest('base64');
  return {
    host: callee,
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
    'content-digest': digest,
    'x-service-id': secret.caller,
    'signature-input': `svc=${params}`,
    signature: `svc=:${mac}:`,
  };
}
