/** Our own verifier before other people's proxies: the same checks, so that only the proxying differs. */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import { dirname, join } from 'node:path';
import { loadMatrix } from '../../../sidecar/config/authorization.ts';
import { decide } from '../../../sidecar/policy/decide.ts';
import { ReplayMemory } from '../../../sidecar/replay/replay-memory.ts';
import { PairKey } from '../../../sidecar/signature/hmac.ts';
import type { SignableRequest } from '../../../sidecar/signature/message.ts';
import type { VerifierKeys } from '../../../sidecar/signature/verifier-keys.ts';
import { fieldNames } from '../../../sidecar/terms/field-names.ts';
import type { Denial } from '../../../sidecar/terms/verdict.ts';
import { readSettings } from './settings.ts';

const { identity } = readSettings();
const { caller, callee, kid } = identity;
const matrix = await loadMatrix(join(dirname(process.argv[2] as string), 'authorization.yaml'));
const rules = matrix.of(callee);
const key = new PairKey(Buffer.from(identity.key, 'base64'));
const keyring: VerifierKeys = {
  service: callee,
  host: '127.0.0.1',
  inbound: new Map([[kid, { kid, caller, key, notAfterMs: Number.POSITIVE_INFINITY }]]),
};
const audience = new Set([callee]);
const replay = new ReplayMemory();
replay.use(kid, 0xffff_ffff, 0);
setInterval(() => replay.forget(Math.floor(Date.now() / 1000)), 1000);

class NodeRequest implements SignableRequest {
  readonly scheme = 'http';
  readonly method: string;
  readonly target: string;
  readonly path: string;
  readonly query: string;
  readonly authority: string;
  readonly #fields: IncomingHttpHeaders;

  constructor(request: IncomingMessage) {
    this.method = request.method ?? '';
    this.target = request.url ?? '';
    const at = this.target.indexOf('?');
    this.path = at < 0 ? this.target : this.target.slice(0, at);
    this.query = at < 0 ? '?' : this.target.slice(at);
    this.#fields = request.headers;
    this.authority = request.headers.host?.toLowerCase() ?? '';
  }

  field(name: string): string | undefined {
    const value = this.#fields[name];
    return Array.isArray(value) ? value.join(', ') : value;
  }

  known(id: number): string | undefined {
    return this.field(fieldNames[id] as string);
  }

  fieldLines(name: string): string[] {
    const value = this.field(name);
    return value === undefined ? [] : [value];
  }

  trailer(): undefined {}

  trailerNames(): readonly string[] {
    return [];
  }
}

/** Why a request is refused; undefined when it may pass. */
export function refusal(request: IncomingMessage): Denial | undefined {
  const decision = decide(new NodeRequest(request), { keyring, rules, audience, replay, nowMs: Date.now() });
  if ('unmarked' in decision) throw new Error('there are no marks here');
  return decision.verdict.allowed ? undefined : decision.verdict.denial;
}

/** Request ids come from a counter, as ours do. */
let requests = 0;

const dropped = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
  'signature',
  'signature-input',
  'x-service-id',
  'x-service-content-length',
  'x-service-denial',
  'x-service-refusal',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-request-id',
]);

/** The fields that the app gets of a request that may pass. */
export function fieldsForApp(request: IncomingMessage): Record<string, string | string[]> {
  const fields: Record<string, string | string[]> = {};
  for (const name in request.headers) {
    if (!dropped.has(name)) fields[name] = request.headers[name] as string | string[];
  }
  fields['x-service-id'] = caller;
  fields['x-forwarded-for'] = request.socket.remoteAddress ?? '';
  fields['x-forwarded-proto'] = 'http';
  fields['x-forwarded-host'] = request.headers.host ?? '';
  fields['x-request-id'] = `bench-${(requests++).toString(36)}`;
  return fields;
}

export function refuse(response: ServerResponse, { reason }: Denial): void {
  response.writeHead(reason === 'not-authorized' || reason === 'ambiguous-path' ? 403 : 401, {
    'content-type': 'application/problem+json',
  });
  response.end(JSON.stringify({ reason }));
}
