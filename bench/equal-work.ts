import { connect } from 'node:net';
import type { Identity } from './load/signer.ts';
import { Signer, usualCall } from './load/signer.ts';
import type { Peer } from './peers/peer.ts';

/** One request, and the status that every peer that checks must give it. */
interface Case {
  readonly what: string;
  readonly status: number;
  readonly head: (signer: Signer) => string;
}

/** What every peer allows a timestamp to be off by. */
const windowSeconds = 300;
const now = () => Math.floor(Date.now() / 1000);
const off = (seconds: number) => ({ created: now() + seconds });

export const cases: readonly Case[] = [
  { what: 'a right request', status: 200, head: (signer) => signer.head() },
  { what: 'a second right request', status: 200, head: (signer) => signer.head() },
  { what: 'no signature', status: 401, head: (signer) => signer.head({ unsigned: true }) },
  {
    what: 'a wrong MAC',
    status: 401,
    head: (signer) => signer.head({ mac: Buffer.alloc(32, 1).toString('base64') }),
  },
  { what: 'a MAC cut short', status: 401, head: (signer) => signer.head({ mac: 'AAAA' }) },
  { what: 'an unknown key', status: 401, head: (signer) => signer.head({ kid: 'main-backend/9' }) },
  { what: "a caller with another's key", status: 401, head: (signer) => signer.head({ caller: 'ai-stack' }) },
  { what: 'a call to somebody else', status: 401, head: (signer) => signer.head({ callee: 'ai-stack' }) },
  {
    what: 'a timestamp within the window',
    status: 200,
    head: (signer) => signer.head(off(10 - windowSeconds)),
  },
  { what: 'an old timestamp', status: 401, head: (signer) => signer.head(off(-10 - windowSeconds)) },
  { what: 'a timestamp ahead', status: 401, head: (signer) => signer.head(off(10 + windowSeconds)) },
  { what: 'a path that no rule allows', status: 403, head: (signer) => signer.head({ path: '/api/keys/7' }) },
  {
    what: 'a path below one that a rule allows',
    status: 403,
    head: (signer) => signer.head({ path: '/api/status/7/8' }),
  },
  { what: 'a method that no rule allows', status: 403, head: (signer) => signer.head({ method: 'POST' }) },
  {
    what: 'a public route without a signature',
    status: 200,
    head: (signer) => signer.head({ unsigned: true, path: '/api/health' }),
  },
  {
    what: 'another method on a public route',
    status: 401,
    head: (signer) => signer.head({ unsigned: true, path: '/api/health', method: 'POST' }),
  },
  {
    what: 'the other public route',
    status: 200,
    head: (signer) => signer.head({ unsigned: true, path: '/api/open', method: 'POST' }),
  },
];

/** What a caller may say of itself and must not be believed. */
const forged = [
  'X-Forwarded-Proto: https',
  'X-Forwarded-Host: evil.example',
  'X-Service-Denial: none',
  'X-Service-Refusal: none',
];

/**
 * Everything in which a running peer does not do the work that it is compared by; empty when all is right. A peer
 * without checks must let the right request through, and no more is asked of it.
 */
export async function differences(peer: Peer, port: number, identity: Identity): Promise<string[]> {
  const signer = new Signer(peer.dialect, identity, usualCall);
  const found: string[] = [];
  const expect = async (what: string, status: number, head: string) => {
    const answer = await ask(port, head);
    if (answer.status !== status) found.push(`${what}: ${answer.status}, expected ${status}`);
    return answer;
  };
  for (const { what, status, head } of peer.checks ? cases : cases.slice(0, 1))
    await expect(what, status, head(signer));
  if (!peer.checks) return found;
  const replayed = signer.head();
  await expect('a nonce for the first time', 200, replayed);
  await expect('the same nonce again', 401, replayed);
  const path = '/api/status/echo';
  const echo = await expect('what the app gets', 200, withFields(signer.head({ path }), forged));
  const fields = echo.body.toLowerCase().split('\r\n').slice(1);
  const of = (name: string) =>
    fields.flatMap((line) => (line.startsWith(`${name}:`) ? [line.slice(name.length + 1).trim()] : []));
  const told: Record<string, string | undefined> = {
    'x-service-id': identity.caller,
    'x-forwarded-for': '127.0.0.1',
    'x-forwarded-proto': 'http',
    'x-forwarded-host': identity.callee,
    'x-request-id': undefined,
  };
  for (const [name, value] of Object.entries(told)) {
    const values = of(name);
    if (values.length !== 1) found.push(`the app got ${name} ${values.length} times, expected once`);
    else if (value !== undefined && values[0] !== value)
      found.push(`the app got ${name}: ${values[0]}, expected ${value}`);
  }
  for (const name of stripped)
    if (of(name).length > 0) found.push(`the app got ${name}, expected it stripped`);
  return found;
}

const stripped = [
  'signature',
  'signature-input',
  'x-mac',
  'x-nonce',
  'x-key-id',
  'x-created',
  'x-service-denial',
  'x-service-refusal',
];

function withFields(head: string, lines: readonly string[]): string {
  return head.replace('\r\n\r\n', `\r\n${lines.join('\r\n')}\r\n\r\n`);
}

/** Sends one request on a connection of its own and reads the answer. */
function ask(port: number, head: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    const closing = head.replace('\r\n\r\n', '\r\nConnection: close\r\n\r\n');
    let text = '';
    socket.setTimeout(5000, () => socket.destroy(new Error('no answer within 5 s')));
    socket.on('connect', () => socket.write(closing, 'latin1'));
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1');
      const end = text.indexOf('\r\n\r\n');
      const length = /\r\ncontent-length: *(\d+)/i.exec(text)?.[1];
      if (end >= 0 && length !== undefined && text.length >= end + 4 + Number(length)) socket.destroy();
    });
    socket.on('error', reject);
    socket.on('close', () => {
      const end = text.indexOf('\r\n\r\n');
      if (end < 0) reject(new Error(`the connection closed without an answer: ${JSON.stringify(text)}`));
      else resolve({ status: Number(text.slice(9, 12)), body: text.slice(end + 4) });
    });
  });
}
