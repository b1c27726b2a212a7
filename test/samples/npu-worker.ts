import { createHash, randomUUID } from 'node:crypto';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { fileURLToPath } from 'node:url';
import { WebSocketServer } from 'ws';
import { callerOf, plainServer, portArgument, readJson, sendJson, serve } from './sample.ts';

interface Task {
  readonly id: string;
  readonly caller: string;
  readonly result: unknown;
}

const mostTasks = 1000;
const chunkBytes = 256 * 1024;

/**
 * A sample npu-worker: takes tasks and tells their status; streams events; echoes over WebSocket at /ws; takes
 * uploads of any length and serves downloads of any length without keeping either.
 */
export function npuWorker(): Server {
  const tasks = new Map<string, Task>();
  const server = plainServer((request, response) => {
    void route(tasks, request, response).catch(() => response.destroy());
  });
  const sockets = new WebSocketServer({ server, path: '/ws' });
  sockets.on('connection', (socket) => {
    socket.on('error', () => socket.terminate());
    socket.on('message', (data, isBinary) => socket.send(data as Buffer, { binary: isBinary }));
  });
  return server;
}

async function route(tasks: Map<string, Task>, request: IncomingMessage, response: ServerResponse) {
  const url = new URL(request.url ?? '/', 'http://npu-worker');
  const is = (method: string, path: string) => request.method === method && url.pathname === path;
  if (is('GET', '/api/health')) return sendJson(response, 200, { status: 'ok', service: 'npu-worker' });
  if (is('POST', '/api/process')) return take(tasks, request, response);
  if (is('GET', '/api/events')) return sendEvents(Number(url.searchParams.get('count') ?? 5), response);
  if (is('POST', '/api/upload')) return upload(request, response);
  if (is('GET', '/api/download')) {
    const text = url.searchParams.get('text') ?? 'countersign ';
    return download(Number(url.searchParams.get('bytes') ?? 0), text, response);
  }
  const id = /^\/api\/status\/([^/]+)$/.exec(url.pathname)?.[1];
  if (request.method === 'GET' && id !== undefined) return status(tasks, id, response);
  sendJson(response, 404, { error: `no ${request.method} ${url.pathname} here` });
}

async function take(tasks: Map<string, Task>, request: IncomingMessage, response: ServerResponse) {
  const input = await readJson(request);
  if (input === undefined) return sendJson(response, 400, { error: 'the body is not JSON' });
  const task = { id: randomUUID(), caller: callerOf(request), result: { input } };
  tasks.set(task.id, task);
  if (tasks.size > mostTasks) tasks.delete(tasks.keys().next().value as string);
  sendJson(response, 200, { ...task, status: 'done' });
}

function status(tasks: ReadonlyMap<string, Task>, id: string, response: ServerResponse): void {
  const task = tasks.get(id);
  if (task === undefined) sendJson(response, 404, { error: `no task ${id}` });
  else sendJson(response, 200, { ...task, status: 'done' });
}

/** `count` server-sent events, one every 100 ms. */
function sendEvents(count: number, response: ServerResponse): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  let sent = 0;
  const timer = setInterval(() => {
    sent++;
    response.write(`id: ${sent}\ndata: {"load":${sent / 10}}\n\n`);
    if (sent >= count) response.end();
  }, 100);
  response.on('close', () => clearInterval(timer));
}

async function upload(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const hash = createHash('sha256');
  let bytes = 0;
  for await (const part of request) {
    hash.update(part as Buffer);
    bytes += (part as Buffer).length;
  }
  sendJson(response, 200, { bytes, sha256: hash.digest('hex') });
}

/** `bytes` bytes, in which `text` is repeated. */
async function download(bytes: number, text: string, response: ServerResponse): Promise<void> {
  const chunk = Buffer.alloc(chunkBytes - (chunkBytes % Buffer.byteLength(text)), text);
  response.writeHead(200, { 'content-type': 'application/octet-stream', 'content-length': bytes });
  let left = bytes;
  while (left > 0 && !response.destroyed) {
    const part = left >= chunk.length ? chunk : chunk.subarray(0, left);
    left -= part.length;
    if (response.write(part)) continue;
    const { promise, resolve } = Promise.withResolvers<void>();
    response.once('drain', resolve);
    response.once('close', resolve);
    await promise;
    response.removeListener('drain', resolve);
    response.removeListener('close', resolve);
  }
  response.end();
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  await serve('npu-worker', npuWorker(), portArgument());
