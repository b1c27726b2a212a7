import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { isLoopback } from '../../config/address.ts';
import { bind, type ListenOn } from '../listen/bind.ts';
import { localOf } from '../listen/listener.ts';
import {
  denialsDocument,
  gathered,
  type ObservedDocument,
  type StatusDocument,
} from '../telemetry/documents.ts';
import type { EventFeed } from '../telemetry/event-feed.ts';
import { metricsContentType, renderMetrics } from '../telemetry/metrics.ts';
import type { TelemetrySnapshot } from '../telemetry/snapshot.ts';
import { metricsFormat } from './accept.ts';
import { EventStream } from './event-stream.ts';
import { isLoopbackHost } from './host-check.ts';

/** What the admin listener shows; asked anew for every request. */
export interface AdminSources {
  /** Of all workers, merged. */
  snapshot(): TelemetrySnapshot | Promise<TelemetrySnapshot>;
  status(): StatusDocument | Promise<StatusDocument>;
  observed(snapshot: TelemetrySnapshot): ObservedDocument;
  /** Calls as they end. */
  readonly events: EventFeed;
}

export interface Admin {
  /** `address:port` or `unix:PATH`. */
  readonly address: string;
  /** Stops listening, ends the streams of events and the connections that are idle; the rest end with their answer. */
  close(): Promise<void>;
}

/**
 * Serves `/metrics`, `/status`, `/denials`, `/observed` and `/events` to programs on this machine: no authentication, so
 * loopback only, GET only.
 *
 * @throws {RangeError} when told to listen on anything but loopback
 * @throws an error of node:net when the address is taken
 */
export async function startAdmin(listen: ListenOn, sources: AdminSources): Promise<Admin> {
  if ('host' in listen && !isLoopback(listen.host))
    throw new RangeError(
      `admin.listen: found ${listen.host}, expected a loopback address: the admin listener authenticates nobody`,
    );
  const server: Server = createServer(
    { keepAliveTimeout: 5_000, requestTimeout: 5_000 },
    (request, response) => {
      if (streamsEvents(request)) {
        stream(request, response, sources.events);
        return;
      }
      answer(request, sources).then(
        (reply) => send(request, response, reply),
        () => send(request, response, problem(500, 'The sidecar could not answer', 'See its log.')),
      );
    },
  );
  await bind(server, listen);
  return {
    address: localOf(server, listen),
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        sources.events.close();
        server.closeIdleConnections();
      }),
  };
}

interface Reply {
  readonly status: number;
  readonly type: string;
  readonly body: string;
  readonly allow?: string;
}

async function answer(request: IncomingMessage, sources: AdminSources): Promise<Reply> {
  const refusal = refusalOf(request);
  if (refusal !== undefined) return refusal;
  const path = pathOf(request);
  if (path === '/status') return json(gathered(await sources.status()));
  if (path === '/denials') return json(gathered(denialsDocument(await sources.snapshot())));
  if (path === '/observed') return json(gathered(sources.observed(await sources.snapshot())));
  if (path === '/events') return { status: 200, type: 'text/event-stream', body: '' };
  if (path === '/metrics') {
    const format = metricsFormat(request.headers.accept);
    const [snapshot, status] = [await sources.snapshot(), await sources.status()];
    return {
      status: 200,
      type: metricsContentType[format],
      body: await renderMetrics(snapshot, { phase: status.phase, version: status.version }, format),
    };
  }
  return problem(404, 'No such page', 'There are /metrics, /status, /denials, /observed and /events.');
}

function pathOf(request: IncomingMessage): string | undefined {
  return (request.url ?? '/').split('?', 1)[0];
}

function streamsEvents(request: IncomingMessage): boolean {
  return request.method === 'GET' && pathOf(request) === '/events' && refusalOf(request) === undefined;
}

function stream(request: IncomingMessage, response: ServerResponse, events: EventFeed): void {
  const lastSeen = request.headers['last-event-id'];
  if (events.isFull) {
    send(
      request,
      response,
      problem(503, 'Too many readers', 'Others read /events already; try again later.'),
    );
    return;
  }
  const unsubscribe = events.subscribe(
    new EventStream(response),
    typeof lastSeen === 'string' ? lastSeen : undefined,
  );
  response.on('close', unsubscribe);
}

function refusalOf(request: IncomingMessage): Reply | undefined {
  const hosts = request.rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'host');
  if (hosts.length !== 1 || !isLoopbackHost(request.headers.host))
    return problem(421, 'Not this host', 'One Host field must name a loopback address, such as 127.0.0.1.');
  if (request.method !== 'GET' && request.method !== 'HEAD')
    return { ...problem(405, 'Only GET', 'The admin listener changes nothing.'), allow: 'GET, HEAD' };
  return undefined;
}

function json(document: unknown): Reply {
  return { status: 200, type: 'application/json', body: `${JSON.stringify(document)}\n` };
}

/** RFC 9457 */
function problem(status: number, title: string, detail: string): Reply {
  const body = `${JSON.stringify({ type: 'about:blank', title, status, detail })}\n`;
  return { status, type: 'application/problem+json', body };
}

function send(request: IncomingMessage, response: ServerResponse, reply: Reply): void {
  response.writeHead(reply.status, {
    'content-type': reply.type,
    'content-length': Buffer.byteLength(reply.body),
    'cache-control': 'no-store',
    'x-content-type-options': 'nosniff',
    ...(reply.allow === undefined ? {} : { allow: reply.allow }),
  });
  response.end(request.method === 'HEAD' ? undefined : reply.body);
}
