import { rm } from 'node:fs/promises';
import { createServer, request, type Server } from 'node:http';
import { connect } from 'node:net';
import type { Swapped } from './local-fleet.ts';
import type { Phase } from './local-sidecar.ts';

/** What `npm run phase` asks of the running `npm run up`, over a Unix socket that only its user can open. */
export interface Controls {
  swapTo(phase: Phase, report: (swapped: Swapped) => void): Promise<unknown>;
}

/** Serves the control socket: `POST /phase/NAME` answers with a line of JSON as soon as each sidecar is swapped. */
export async function serveControl(path: string, controls: Controls): Promise<Server> {
  await rm(path, { force: true });
  const server = createServer((message, response) => {
    const phase = /^\/phase\/(logging|enforcing)$/.exec(message.url ?? '')?.[1] as Phase | undefined;
    if (message.method !== 'POST' || phase === undefined) return response.writeHead(404).end();
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    void controls
      .swapTo(phase, (swapped) => response.write(`${JSON.stringify(swapped)}\n`))
      .then(
        () => response.end(),
        () => response.destroy(),
      );
  });
  const { promise, resolve, reject } = Promise.withResolvers<Server>();
  server.once('error', reject);
  server.listen(path, () => resolve(server));
  return promise;
}

/**
 * Asks the running local fleet to swap its sidecars.
 *
 * @throws {NotRunningError}
 */
export async function askForPhase(
  path: string,
  phase: Phase,
  report: (swapped: Swapped) => void,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const asked = request({ socketPath: path, method: 'POST', path: `/phase/${phase}` });
  asked.once('error', () => reject(new NotRunningError()));
  asked.once('response', (response) => {
    let rest = '';
    response.setEncoding('utf8');
    response.on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) report(JSON.parse(line) as Swapped);
    });
    response.once('end', resolve);
    response.once('error', () => reject(new Error('the local fleet ended during the swap')));
  });
  asked.end();
  return promise;
}

/** Whether a local fleet answers there. */
export function isRunning(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect(path, () => resolve(true));
  socket.once('error', () => resolve(false));
  return promise.finally(() => socket.destroy());
}

export class NotRunningError extends Error {
  readonly code = 'not-running';
  constructor() {
    super('found no running local fleet, expected one: start it with  npm run up  in another terminal');
    this.name = 'NotRunningError';
  }
}
