import { request as httpRequest, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { pipeline } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { plainServer, portArgument, sendJson, serve } from './sample.ts';

/**
 * Stands where ai-stack would and passes every call on to a real model server, under that server's own name:
 * Ollama, for one, refuses a Host that it does not know.
 *
 * @param to such as `http://127.0.0.1:11434`; a path in it is put before the call's
 */
export function aiRelay(to: URL): Server {
  return plainServer((request, response) => {
    if (request.url === '/api/health') return sendJson(response, 200, { status: 'ok', service: 'ai-relay' });
    relay(to, request, response);
  });
}

function relay(to: URL, request: IncomingMessage, response: ServerResponse): void {
  const path = to.pathname.replace(/\/(v1\/?)?$/, '') + (request.url ?? '/');
  const send = to.protocol === 'https:' ? httpsRequest : httpRequest;
  const headers = { ...request.headers, host: to.host };
  const upstream = send(new URL(path, to), { method: request.method, headers }, (answer) => {
    response.writeHead(answer.statusCode ?? 502, answer.headers);
    pipeline(answer, response, () => {});
  });
  upstream.on('error', (error) => {
    if (response.headersSent) return response.destroy();
    const message = `the model server ${to.origin} does not answer: ${error.message}`;
    sendJson(response, 502, {
      error: { message, type: 'server_error', param: null, code: 'model_unreachable' },
    });
  });
  response.on('close', () => upstream.destroy());
  pipeline(request, upstream, () => {});
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { values } = parseArgs({ options: { to: { type: 'string' }, port: { type: 'string' } } });
  await serve('ai-relay', aiRelay(new URL(values.to ?? '')), portArgument());
}
