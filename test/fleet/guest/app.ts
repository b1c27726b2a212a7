import { appendFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { argv } from 'node:process';
import { longLine, longLines } from './long-answer.ts';

/**
 * The service of a host of the fleet test: `app.ts NAME PORT FILE`. Answers every call with who it is and who its
 * sidecar says the caller is, a call with `?long` by 1 MB (`?long=closed`: that ends with the connection), and notes in FILE each call that came without a caller to a path that is not public.
 */
const [, , name = '', port = '', file = ''] = argv;

createServer((request, response) => {
  const caller = request.headers['x-service-id'] ?? null;
  const path = (request.url ?? '/').split('?', 1)[0] as string;
  if (caller === null && path !== '/api/health') {
    appendFileSync(file, `${JSON.stringify({ at: Date.now(), method: request.method, path })}\n`);
  }
  const long = /\?long(=closed)?$/.exec(request.url ?? '');
  request.resume().on('end', () => {
    if (long !== null) {
      if (long[1] === '=closed') {
        response.useChunkedEncodingByDefault = false;
        response.shouldKeepAlive = false;
        response.writeHead(200);
        for (let i = 0; i < longLines; i += 1) response.write(longLine);
        response.end();
      } else response.end(longLine.repeat(longLines));
      return;
    }
    response.setHeader('content-type', 'application/json');
    response.end(JSON.stringify({ service: name, caller, path, at: Date.now() }));
  });
}).listen(Number(port), '127.0.0.1');
