import { readFile } from 'node:fs/promises';
import { getAsset, isSea } from 'node:sea';
import type { FastifyInstance, FastifySchema } from 'fastify';
import { securityHeaders } from '../../web/security-headers.ts';

/** The files of the page, by path under /console/; where each lies from the top of the project. */
const files: Readonly<Record<string, { readonly type: string; readonly from: string }>> = {
  '': { type: 'text/html; charset=utf-8', from: 'core/console/web/index.html' },
  'icon.svg': { type: 'image/svg+xml', from: 'web/icon.svg' },
  'console.js': { type: 'text/javascript; charset=utf-8', from: 'dist/bundles/core-console.js' },
  'console.css': { type: 'text/css; charset=utf-8', from: 'dist/bundles/core-console.css' },
};

/**
 * `GET /console/`: a page to chat with the models, to read and search sessions, and to see what the context window kept. It holds
 * nothing itself: what it shows it asks of the API, as the caller that the sidecar has proven.
 */
export function consoleRoutes(app: FastifyInstance): void {
  const schema = { hide: true } as FastifySchema;
  // Relative, for a proxy that serves the core under a path of its own.
  app.get('/console', { schema }, async (_request, reply) =>
    reply.code(308).headers(securityHeaders).header('location', 'console/').send(),
  );
  for (const [name, { type, from }] of Object.entries(files)) {
    app.get(`/console/${name}`, { schema }, async (_request, reply) =>
      reply
        .headers(securityHeaders)
        .type(type)
        .send(await readPageFile(from)),
    );
  }
}

/** Run from the sources, the bundles are those of the last build. */
async function readPageFile(path: string): Promise<string> {
  return isSea() ? getAsset(path, 'utf8') : readFile(new URL(`../../${path}`, import.meta.url), 'utf8');
}
