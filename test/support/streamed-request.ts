import { createHash, createHmac } from 'node:crypto';
import { buildSigned, type SignedRequest } from './signed-request.ts';

/** The streaming form written by hand; each part can be made to lie. */
export interface StreamedRequest extends Omit<SignedRequest, 'body'> {
  /** What the trailer signature speaks of. */
  readonly signedBody: string;
  /** What is sent, in chunks; the signed body in two when left out. */
  readonly chunks?: readonly string[];
  /** X-Service-Content-Length; none when left out. */
  readonly length?: string;
  /** Further components of the head's signature, or other ones instead of `trailer` and the length. */
  readonly ends?: readonly string[];
  /** Trailer, as sent. */
  readonly announced?: string;
  /** Trailers of the app, by lower-case name, which the trailer signature covers. */
  readonly own?: Readonly<Record<string, string>>;
  /** What the trailer signature covers: text of the inner list. */
  readonly trailerCovers?: string;
  readonly trailerKid?: string;
  readonly trailerKey?: Buffer;
  readonly trailerTag?: string;
  /** Lines of the trailer section instead of the right ones, made from those. */
  readonly trailers?: (lines: TrailerLines) => readonly string[];
  /** False to leave out even the last chunk. */
  readonly ended?: boolean;
}

export interface TrailerLines {
  readonly digest: string;
  readonly signatureInput: string;
  readonly signature: string;
}

export interface BuiltStream {
  readonly bytes: Buffer;
  readonly trailers: TrailerLines;
}

const always = ['@method', '@authority', '@path', '@query', 'x-service-id'];

/** A request in the streaming form, from node:crypto alone. */
export function buildStreamed(request: StreamedRequest): BuiltStream {
  const { signedBody, length } = request;
  const fields = [
    ['Trailer', request.announced ?? 'content-digest, signature, signature-input'] as const,
    ...(length === undefined ? [] : [['X-Service-Content-Length', length] as const]),
    ...(request.fields ?? []),
  ];
  const label = request.label ?? 'svc';
  const head = buildSigned({
    ...request,
    method: request.method ?? 'POST',
    fields,
    covered: [
      ...always,
      ...(request.ends ?? ['trailer', ...(length === undefined ? [] : ['x-service-content-length'])]),
    ],
  });
  const headMac = head.signature.slice(label.length + 1);
  const digest = `sha-256=:${createHash('sha256').update(signedBody).digest('base64')}:`;
  const covers =
    request.trailerCovers ??
    `("content-digest";tr ${Object.keys(request.own ?? {})
      .map((name) => `"${name}";tr `)
      .join('')}"signature";key="${label}")`;
  const created = /created=(\d+)/.exec(head.signatureInput)?.[1];
  const parameters = `${covers};created=${created};keyid="${request.trailerKid ?? request.kid}";tag="${request.trailerTag ?? 'countersign-trailer'}"`;
  const values: Record<string, string> = {
    '"content-digest";tr': digest,
    ...Object.fromEntries(Object.entries(request.own ?? {}).map(([name, value]) => [`"${name}";tr`, value])),
    [`"signature";key="${label}"`]: headMac,
    '"@method"': request.method ?? 'POST',
    '"x-service-id"': request.caller ?? request.kid.slice(0, request.kid.lastIndexOf('/')),
  };
  const base = [
    ...[...covers.matchAll(/"[^"]+"(?:;[a-z]+(?:="[^"]*")?)*/g)].map(([name]) => `${name}: ${values[name]}`),
    `"@signature-params": ${parameters}`,
  ].join('\n');
  const mac = createHmac('sha256', request.trailerKey ?? request.key)
    .update(base, 'latin1')
    .digest('base64');
  const trailers: TrailerLines = {
    digest: `Content-Digest: ${digest}`,
    signature: `Signature: end=:${mac}:`,
    signatureInput: `Signature-Input: end=${parameters}`,
  };
  const middle = Math.ceil(signedBody.length / 2);
  const chunks = request.chunks ?? [signedBody.slice(0, middle), signedBody.slice(middle)];
  const lines = request.trailers?.(trailers) ?? [
    ...Object.entries(request.own ?? {}).map(([name, value]) => `${name}: ${value}`),
    ...Object.values(trailers),
  ];
  const body =
    chunks
      .filter((chunk) => chunk.length > 0)
      .map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}\r\n`)
      .join('') + (request.ended === false ? '' : `0\r\n${lines.map((line) => `${line}\r\n`).join('')}\r\n`);
  const text = head.head.replace('X-Service-ID:', 'Transfer-Encoding: chunked\r\nX-Service-ID:') + body;
  return { bytes: Buffer.from(text, 'latin1'), trailers };
}
