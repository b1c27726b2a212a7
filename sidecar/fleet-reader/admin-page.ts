import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';

const longestBytes = 64 * 1024 * 1024;

/** What an admin listener answered. */
export interface AdminPage {
  readonly status: number;
  readonly text: string;
}

/** Whether a text is the address of an admin listener: `http://HOST:PORT`, `https://HOST:PORT` or `unix:PATH`. */
export function isAdminAddress(text: string): boolean {
  return /^(?:https?:\/\/|unix:)/i.test(text);
}

/**
 * Fetches a page of an admin listener, on a connection of its own and past any proxy of the environment.
 *
 * @param base `http://HOST:PORT`, `https://HOST:PORT` or `unix:PATH`
 * @param path such as `/status`
 * @throws an error of node:http with a `code`, an AbortError, or a RangeError for more than 64 MiB
 */
export function adminPage(base: string, path: string, signal: AbortSignal): Promise<AdminPage> {
  return new Promise((resolve, reject) => {
    const options = { signal, agent: false } as const;
    const onUnix = base.startsWith('unix:');
    const send = /^https:/i.test(base) ? requestHttps : requestHttp;
    const request = onUnix
      ? requestHttp({ ...options, socketPath: base.slice(5), path, headers: { host: 'localhost' } })
      : send(new URL(`${base.replace(/\/$/, '')}${path}`), options);
    request.once('error', reject);
    request.once('response', (response) => {
      const pieces: Buffer[] = [];
      let length = 0;
      response.on('error', reject);
      response.on('data', (piece: Buffer) => {
        pieces.push(piece);
        length += piece.length;
        if (length > longestBytes) response.destroy(new RangeError('more than 64 MiB'));
      });
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(pieces).toString('utf8') }),
      );
    });
    request.end();
  });
}
