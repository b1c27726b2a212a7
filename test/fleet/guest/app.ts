import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { argv } from 'node:process';

/**
 * The service of a host of the fleet test: `app.ts NAME PORT FILE`. Answers every call with who it is and who its
 * sidecar says the caller is, and notes in FILE each call that came without a caller to a path that is not public.
 */
const [, , name = '', port = '', file = ''] = argv;

createServer((request, response) => {
  const caller = request.headers['x-service-id'] ?? null;
  const path = (request.url ?? '/').split('?', 1)[0] as string;
  if (caller === null && path !== '/api/health') {
    appendFileSync(file, `${JSON.stringify({ at: Date.now(), method: request.method, path })}\n`);
  }
  request.resume().on('end', () => {
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ service: name, caller, path, at: Date.now() }));
  });
}).listen(Number(port), '127.0.0.1');
