import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server,
  type ServerResponse,
} from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';

/**
 * Serves a sample on loopback until SIGTERM. As a program: `--port N`, and a first line on stdout as soon as it
 * listens.
 */
export async function serve(name: string, server: Server, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, '127.0.0.1', resolve);
  });
  const at = server.address() as AddressInfo;
  console.log(JSON.stringify({ msg: 'ready', service: name, port: at.port }));
  process.once('SIGTERM', () => {
    server.close(() => process.exit(0));
    server.closeAllConnections();
  });
}

/** The `--port` that a sample was started with. */
export function portArgument(): number {
  const { values } = parseArgs({ options: { port: { type: 'string', default: '0' } }, strict: false });
  return Number(values.port);
}

/** A server without time-outs of its own: what a slow client does is the sidecar's business. */
export function plainServer(listener: RequestListener): Server {
  return createServer({ requestTimeout: 0, keepAliveTimeout: 75_000 }, listener);
}

export function sendJson(response: ServerResponse, status: number, value: unknown): void {
  const body = JSON.stringify(value);
  response.writeHead(status, {
    'content-type': 'application/json',
    'content-length': Buffer.byteLength(body),
  });
  response.end(body);
}

/** The whole body as JSON; undefined when it is not JSON. */
export async function readJson(request: IncomingMessage): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'));
  } catch {
    return undefined;
  }
}

/** Who called, as the sidecar in front says; a direct call has nobody's name. */
export function callerOf(request: IncomingMessage): string {
  const name = request.headers['x-service-id'];
  return typeof name === 'string' ? name : 'an unnamed caller';
}
