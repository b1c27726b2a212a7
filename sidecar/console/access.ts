import { createHash, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { isLoopbackHost } from '../admin/host-check.ts';

/** What a token is good for: the whole console, or the metrics of the hosts alone. */
export interface Tokens {
  /** In the link that is printed; made at each start. */
  readonly console: string;
  /** What Prometheus sends. */
  readonly metrics?: string | undefined;
}

export type Grant = 'console' | 'metrics' | 'none';

/**
 * Why a request is refused before anything is looked up; undefined for one that may go on. One loopback Host is demanded
 * (DNS rebinding), and a page of another origin gets nothing, with or without the token.
 */
export function refusalOf(request: IncomingMessage): { status: number; detail: string } | undefined {
  const hosts = request.rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'host');
  const { host, origin } = request.headers;
  if (hosts.length !== 1 || !isLoopbackHost(host))
    return { status: 421, detail: 'One Host field must name a loopback address, such as 127.0.0.1.' };
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return { status: 405, detail: 'The console changes nothing: GET and HEAD only.' };
  const site = request.headers['sec-fetch-site'];
  const isNavigation = request.headers['sec-fetch-mode'] === 'navigate';
  if (origin !== undefined && origin !== `http://${host}`)
    return { status: 403, detail: 'The page of another origin asked.' };
  if (site !== undefined && site !== 'same-origin' && site !== 'none' && !isNavigation)
    return { status: 403, detail: 'The page of another site asked.' };
  return undefined;
}

/**
 * What the token of a request is good for. It comes in `Authorization` alone: a cookie of 127.0.0.1 would go to the servers
 * on all of its ports, and a query would stand in histories and logs.
 */
export function grantOf(authorization: string | undefined, tokens: Tokens): Grant {
  const [, presented = ''] = /^Bearer +([\w.~+/=-]+)$/i.exec(authorization ?? '') ?? [];
  const isConsole = sameSecret(presented, tokens.console);
  const isMetrics = tokens.metrics !== undefined && sameSecret(presented, tokens.metrics);
  return isConsole ? 'console' : isMetrics ? 'metrics' : 'none';
}

/** Takes as long for every text: hashes are compared, in constant time. */
function sameSecret(presented: string, secret: string): boolean {
  const hash = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(hash(presented), hash(secret)) && secret !== '';
}
