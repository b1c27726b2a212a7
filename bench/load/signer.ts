import { randomFillSync } from 'node:crypto';
import { PairKey } from '../../sidecar/signature/hmac.ts';

/**
 * How a request says who makes it: an RFC 9421 signature, the same facts in plain fields (for proxies that cannot
 * parse RFC 9421), or not at all.
 */
export type Dialect = 'rfc9421' | 'fields' | 'plain';

/** Who calls whom, with which key. */
export interface Identity {
  readonly caller: string;
  readonly callee: string;
  readonly kid: string;
  /** Base64. */
  readonly key: string;
}

/** One kind of request, made over and over. */
export interface Call {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly query: string;
  /** Bytes of the request's body. */
  readonly body: number;
  /** Value of Content-Digest; covered by an RFC 9421 signature. */
  readonly digest?: string;
  /** Whether it asks for a WebSocket. */
  readonly webSocket?: boolean;
  /** Field lines of the head, all counted; filler makes up what is missing. */
  readonly fields: number;
  /** Bytes of the head; the filler is as long as it takes. */
  readonly headBytes: number;
}

export const usualCall: Call = {
  method: 'GET',
  path: '/api/status/7',
  query: '?full=1',
  body: 0,
  fields: 10,
  headBytes: 663,
};

const contentType = 'application/octet-stream';
/** Of one key for all: nobody here is a browser that has to be protected from a cache. */
const upgradeLines =
  'Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n';

/** What a request says instead; it is signed for what it says. */
export interface Lie {
  readonly nonce?: string;
  readonly created?: number;
  readonly path?: string;
  readonly mac?: string;
  readonly kid?: string;
  readonly method?: Call['method'];
  /** Who calls, and whom. */
  readonly caller?: string;
  readonly callee?: string;
  /** No proof at all, only the claim. */
  readonly unsigned?: boolean;
}

/** Between the facts of the plain form; the same characters make its base as long as the RFC 9421 one. */
export const separator = '|';

/** Writes request heads, each signed afresh with a nonce of its own. */
export class Signer {
  readonly #dialect: Dialect;
  readonly #identity: Identity;
  readonly #call: Call;
  readonly #key: PairKey;
  readonly #nonces = Buffer.alloc(16 * 1024);
  #nonceAt = this.#nonces.length;
  #filler: string | undefined;
  readonly #covered: Covered;
  readonly #baseFiller: string;

  constructor(dialect: Dialect, identity: Identity, call: Call) {
    this.#dialect = dialect;
    this.#identity = identity;
    this.#call = call;
    this.#key = new PairKey(Buffer.from(identity.key, 'base64'));
    this.#covered = coveredLines(call, identity);
    // What the peers that read plain fields were configured with.
    this.#baseFiller = baseFiller(usualCall, identity);
  }

  /** A head that will be accepted, or one with a lie in it. */
  head(lie?: Lie): string {
    const { query, body, digest, webSocket = false } = this.#call;
    const path = lie?.path ?? this.#call.path;
    const method = lie?.method ?? this.#call.method;
    const proof = lie?.unsigned === true ? this.#claim(lie) : this.#proof(lie);
    const start = `${method} ${path}${query} HTTP/1.1\r\nHost: ${lie?.callee ?? this.#identity.callee}\r\n`;
    const content = body === 0 ? '' : `Content-Type: ${contentType}\r\nContent-Length: ${body}\r\n`;
    const upgrade = webSocket ? upgradeLines : '';
    const digested = digest === undefined ? '' : `Content-Digest: ${digest}\r\n`;
    const rest = `${start}${upgrade}${content}${digested}${proof}`;
    this.#filler ??= fillerFor(rest, this.#call);
    return `${rest}${this.#filler}\r\n`;
  }

  nonce(): string {
    if (this.#nonceAt === this.#nonces.length) {
      randomFillSync(this.#nonces);
      this.#nonceAt = 0;
    }
    this.#nonceAt += 16;
    return this.#nonces.toString('base64url', this.#nonceAt - 16, this.#nonceAt);
  }

  #claim(lie?: Lie): string {
    return this.#dialect === 'plain' ? '' : `X-Service-ID: ${lie?.caller ?? this.#identity.caller}\r\n`;
  }

  #proof(lie?: Lie): string {
    if (this.#dialect === 'plain') return '';
    const created = lie?.created ?? Math.floor(Date.now() / 1000);
    const nonce = lie?.nonce ?? this.nonce();
    const kid = lie?.kid ?? this.#identity.kid;
    const call = lie === undefined ? this.#call : { ...this.#call, ...given(lie, 'path', 'method') };
    const identity =
      lie === undefined ? this.#identity : { ...this.#identity, ...given(lie, 'caller', 'callee') };
    if (this.#dialect === 'rfc9421') {
      const covered = lie === undefined ? this.#covered : coveredLines(call, identity);
      const { params, base } = rfc9421Base(covered, kid, created, nonce);
      const mac = lie?.mac ?? this.#key.macBase64(base);
      return `${this.#claim(lie)}Signature-Input: svc=${params}\r\nSignature: svc=:${mac}:\r\n`;
    }
    const facts = plainBase(call, identity, kid, created, nonce);
    const mac = lie?.mac ?? this.#key.macBase64(facts + this.#baseFiller);
    return `${this.#claim(lie)}X-Key-Id: ${kid}\r\nX-Created: ${created}\r\nX-Nonce: ${nonce}\r\nX-Mac: ${mac}\r\n`;
  }
}

/** Those of some properties that are there. */
function given<K extends keyof Lie>(lie: Lie, ...names: K[]): Partial<Pick<Lie, K>> {
  return Object.fromEntries(
    names.flatMap((name) => (lie[name] === undefined ? [] : [[name, lie[name]]])),
  ) as Partial<Pick<Lie, K>>;
}

/** What a signature covers, but its own parameters. */
interface Covered {
  readonly names: string;
  readonly lines: string;
}

function coveredLines(call: Call, identity: Identity): Covered {
  const content = call.body === 0 ? [] : [['content-type', contentType] as const];
  const digest = call.digest === undefined ? [] : [['content-digest', call.digest] as const];
  const lines = [
    ['@method', call.method] as const,
    ['@authority', identity.callee] as const,
    ['@path', call.path] as const,
    ['@query', call.query] as const,
    ['x-service-id', identity.caller] as const,
    ...digest,
    ...content,
    ...(call.webSocket === true ? [['upgrade', 'websocket'] as const] : []),
  ];
  return {
    names: lines.map(([name]) => `"${name}"`).join(' '),
    lines: lines.map(([name, value]) => `"${name}": ${value}\n`).join(''),
  };
}

function rfc9421Base(
  { names, lines }: Covered,
  kid: string,
  created: number,
  nonce: string,
): { params: string; base: string } {
  const params = `(${names});created=${created};keyid="${kid}";nonce="${nonce}";tag="countersign"`;
  return { params, base: `${lines}"@signature-params": ${params}` };
}

function plainBase(
  { method, path, query, body, digest = '' }: Call,
  { caller, callee }: Identity,
  kid: string,
  created: number,
  nonce: string,
): string {
  const s = separator;
  const type = body === 0 ? '' : contentType;
  return `${method}${s}${callee}${s}${path}${s}${query.slice(1)}${s}${caller}${s}${kid}${s}${created}${s}${nonce}${s}${type}${s}${digest}${s}`;
}

/** What makes the base of the plain form as long as that of RFC 9421, for the same call; a body adds to either. */
export function baseFiller(call: Call, identity: Identity): string {
  const nonce = 'n'.repeat(22);
  const created = 1_764_000_000;
  const { base } = rfc9421Base(coveredLines(call, identity), identity.kid, created, nonce);
  const plain = plainBase(call, identity, identity.kid, created, nonce);
  return 'f'.repeat(Math.max(0, base.length - plain.length));
}

/** Field lines that bring a head to its number of fields and, if it is shorter, to its size. */
function fillerFor(rest: string, call: Call): string {
  const common = [
    'User-Agent: bench/1.0',
    'Accept: */*',
    'Accept-Encoding: gzip, deflate',
    'Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
  ];
  const present = rest.split('\r\n').length - 2;
  const lines: string[] = [];
  for (let i = 0; present + lines.length < call.fields - 1; i++) {
    lines.push(common[i] ?? `X-Filler-${i}: some-value-${i}`);
  }
  const bytes = rest.length + lines.reduce((sum, line) => sum + line.length + 2, 0) + 2;
  const missing = call.headBytes - bytes - 'X-Pad: \r\n'.length;
  if (present + lines.length < call.fields) lines.push(`X-Pad: ${'p'.repeat(Math.max(1, missing))}`);
  return lines.map((line) => `${line}\r\n`).join('');
}
