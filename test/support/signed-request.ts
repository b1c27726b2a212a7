import { createHash, createHmac, randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';

/** What a test says of a request; each part can be made to lie. */
export interface SignedRequest {
  readonly method?: string;
  /** As it stands in the request line. */
  readonly target?: string;
  readonly host: string;
  readonly fields?: readonly (readonly [string, string])[];
  readonly body?: string | Buffer;
  readonly created?: number;
  readonly nonce?: string;
  readonly kid: string;
  readonly caller?: string;
  readonly key: Buffer;
  readonly tag?: string;
  readonly label?: string;
  /** Further parameters, as text: `;alg="hmac-sha256"`. */
  readonly parameters?: string;
  /** Components to cover instead of those that the rules demand. */
  readonly covered?: readonly string[];
}

export interface BuiltRequest {
  readonly head: string;
  readonly body: Buffer;
  readonly bytes: Buffer;
  readonly signatureInput: string;
  readonly signature: string;
}

const conditional = [
  'content-type',
  'content-encoding',
  'authorization',
  'cookie',
  'range',
  'upgrade',
  'x-forwarded-for',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-original-url',
  'x-rewrite-url',
];

/**
 * A signed request, written from RFC 9421 with node:crypto alone: it shares no line with the code under test, so the
 * two can disagree.
 */
export function buildSigned(request: SignedRequest): BuiltRequest {
  const method = request.method ?? 'GET';
  const target = request.target ?? '/';
  const body = Buffer.from(request.body ?? '');
  const fields: (readonly [string, string])[] = [
    ['Host', request.host],
    ['X-Service-ID', request.caller ?? request.kid.slice(0, request.kid.lastIndexOf('/'))],
    ...(request.fields ?? []),
  ];
  if (body.length > 0) {
    const digest = createHash('sha256').update(body).digest('base64');
    fields.push(['Content-Digest', `sha-256=:${digest}:`], ['Content-Length', String(body.length)]);
  }
  const value = (name: string): string => {
    const [path = '', ...query] = target.split('?');
    switch (name) {
      case '@method':
        return method;
      case '@authority':
        return request.host.toLowerCase();
      case '@path':
        return path === '' ? '/' : path;
      case '@query':
        return `?${query.join('?')}`;
      default:
        return fields
          .filter(([field]) => field.toLowerCase() === name)
          .map(([, text]) => text.trim())
          .join(', ');
    }
  };
  const has = (name: string) => fields.some(([field]) => field.toLowerCase() === name);
  const covered = request.covered ?? [
    '@method',
    '@authority',
    '@path',
    '@query',
    'x-service-id',
    ...(body.length > 0 ? ['content-digest'] : []),
    ...conditional.filter(has),
  ];
  const created = request.created ?? Math.floor(Date.now() / 1000);
  const nonce = request.nonce ?? randomBytes(16).toString('base64url');
  const parameters =
    `(${covered.map((name) => `"${name}"`).join(' ')});created=${created};keyid="${request.kid}";nonce="${nonce}"` +
    `;tag="${request.tag ?? 'countersign'}"${request.parameters ?? ''}`;
  const base = [
    ...covered.map((name) => `"${name}": ${value(name)}`),
    `"@signature-params": ${parameters}`,
  ].join('\n');
  const mac = createHmac('sha256', request.key).update(base, 'latin1').digest('base64');
  const label = request.label ?? 'svc';
  const signatureInput = `${label}=${parameters}`;
  const signature = `${label}=:${mac}:`;
  const lines = [...fields, ['Signature-Input', signatureInput] as const, ['Signature', signature] as const];
  const head = `${method} ${target} HTTP/1.1\r\n${lines.map(([name, text]) => `${name}: ${text}\r\n`).join('')}\r\n`;
  return { head, body, bytes: Buffer.concat([Buffer.from(head, 'latin1'), body]), signatureInput, signature };
}

/** A caller's pair key for one callee on one host, out of the caller's own keyring file. */
export async function outboundKey(
  keyringFile: string,
  callee: string,
  host = '127.0.0.1',
): Promise<{ kid: string; key: Buffer }> {
  const keyring = JSON.parse(await readFile(keyringFile, 'utf8')) as {
    outbound: Record<string, { kid: string; keys: Record<string, string> }>;
  };
  const entry = keyring.outbound[callee]!;
  return { kid: entry.kid, key: Buffer.from(entry.keys[host]!, 'base64') };
}
