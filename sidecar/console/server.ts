import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { isLoopback } from '../../config/address.ts';
import { securityHeaders } from '../../web/security-headers.ts';
import { bind, type ListenOn } from '../listen/bind.ts';
import { localOf } from '../listen/listener.ts';
import { metricsContentType } from '../telemetry/metrics.ts';
import { grantOf, refusalOf, type Tokens } from './access.ts';
import { documents, QueryError } from './documents.ts';
import { DocumentStream } from './event-stream.ts';
import type { FleetWatch, Reading } from './fleet-watch.ts';
import { hostTargets } from './scrape-targets.ts';
import type { Sources } from './sources.ts';

/** One file of the page. */
export interface PageFile {
  readonly type: string;
  readonly body: string;
}

export interface ConsoleOptions {
  readonly listen: ListenOn;
  readonly tokens: Tokens;
  /** By path: `/`, `/console.js` and so on. */
  readonly page: ReadonlyMap<string, PageFile>;
  readonly watch: FleetWatch;
  readonly sources: Pick<Sources, 'readMetrics'>;
}

export interface ConsoleServer {
  /** `address:port` or `unix:PATH`. */
  readonly address: string;
  close(): Promise<void>;
}

/** Browsers hold a stream for every tab. */
const mostConnections = 100;

/**
 * Serves the console to browsers on this machine: GET only, loopback only. The page itself is public, for it holds nothing; every
 * document needs the token.
 *
 * @throws {RangeError} when told to listen on anything but loopback
 * @throws an error of node:net when the address is taken
 */
export async function startConsole(options: ConsoleOptions): Promise<ConsoleServer> {
  const { listen } = options;
  if ('host' in listen && !isLoopback(listen.host))
    throw new RangeError(`found ${listen.host}, expected a loopback address: the console has no TLS`);
  const streams = new Set<DocumentStream>();
  const server = createServer({ keepAliveTimeout: 5_000, requestTimeout: 10_000 }, (request, response) => {
    answer(request, response, options, streams).catch((error: Error) =>
      problem(request, response, error instanceof QueryError ? error.status : 500, error.message),
    );
  });
  server.maxConnections = mostConnections;
  await bind(server, listen);
  return {
    address: localOf(server, listen),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const stream of streams) stream.end();
        server.closeIdleConnections();
      }),
  };
}

async function answer(
  request: IncomingMessage,
  response: ServerResponse,
  options: ConsoleOptions,
  streams: Set<DocumentStream>,
): Promise<void> {
  const refusal = refusalOf(request);
  if (refusal !== undefined) return problem(request, response, refusal.status, refusal.detail);
  const url = URL.parse(request.url ?? '/', 'http://console');
  if (url === null) return problem(request, response, 400, 'The request target is no path.');
  const file = options.page.get(url.pathname);
  if (file !== undefined) return send(request, response, 200, file.type, file.body);
  const grant = grantOf(request.headers.authorization, options.tokens);
  if (grant === 'none')
    return problem(
      request,
      response,
      401,
      'Send the token of the link that was printed as Authorization: Bearer.',
    );
  if (url.pathname === '/hosts' || url.pathname.startsWith('/hosts/'))
    return metrics(request, response, url.pathname, options);
  const name = /^\/api\/([a-z]+)$/.exec(url.pathname)?.[1] ?? '';
  const document = Object.hasOwn(documents, name) ? documents[name] : undefined;
  if (document === undefined) return problem(request, response, 404, 'There is nothing here.');
  if (grant !== 'console')
    return problem(request, response, 403, 'The token for metrics reads metrics and nothing else.');
  const json = (reading: Reading) => JSON.stringify(document(reading, url.searchParams));
  const first = json(await options.watch.latest());
  if (request.headers.accept !== 'text/event-stream' || request.method === 'HEAD')
    return send(request, response, 200, 'application/json', `${first}\n`);
  const stream = new DocumentStream(response);
  streams.add(stream);
  stream.send(first);
  const unfollow = options.watch.follow((reading) => {
    try {
      stream.send(json(reading));
    } catch {
      // What was asked about is gone: the page asks again, and is told.
      stream.end();
    }
  });
  response.on('close', () => {
    unfollow();
    streams.delete(stream);
  });
}

async function metrics(
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  { watch, sources }: ConsoleOptions,
): Promise<void> {
  // Also tells where each host is read, when Prometheus is the first to ask.
  const { policy } = await watch.latest();
  if (path === '/hosts') {
    const body = JSON.stringify(hostTargets(policy.fleet, request.headers.host ?? ''));
    return send(request, response, 200, 'application/json', `${body}\n`);
  }
  const [, service, host] = /^\/hosts\/([^/]+)\/([^/]+)\/metrics$/.exec(path)?.map(decoded) ?? [];
  const text =
    service === undefined || host === undefined ? undefined : await sources.readMetrics(service, host);
  if (text === undefined)
    return problem(request, response, 404, 'Expected /hosts/SERVICE/HOST/metrics of a host in fleet.yaml.');
  send(request, response, 200, metricsContentType.prometheus, text);
}

function decoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}

/** RFC 9457 */
function problem(request: IncomingMessage, response: ServerResponse, status: number, detail: string): void {
  if (response.headersSent) {
    response.destroy();
    return;
  }
  if (status === 401) response.setHeader('www-authenticate', 'Bearer realm="countersign console"');
  if (status === 405) response.setHeader('allow', 'GET, HEAD');
  const body = JSON.stringify({ type: 'about:blank', status, detail });
  send(request, response, status, 'application/problem+json', `${body}\n`);
}

function send(
  request: IncomingMessage,
  response: ServerResponse,
  status: number,
  type: string,
  body: string,
): void {
  response.writeHead(status, {
    ...securityHeaders,
    'content-type': type,
    'content-length': Buffer.byteLength(body),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}
