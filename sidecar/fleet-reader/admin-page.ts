import { type IncomingMessage, request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';
import { readText } from './read-text.ts';

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
export async function adminPage(base: string, path: string, signal: AbortSignal): Promise<AdminPage> {
  const response = await adminAnswer(base, path, signal);
  return { status: response.statusCode ?? 0, text: await readText(response, longestBytes) };
}

/**
 * As `adminPage`, without the body: the head of the answer.
 *
 * @param fields of the request, beside Host
 */
export function adminAnswer(
  base: string,
  path: string,
  signal: AbortSignal,
  fields: Readonly<Record<string, string>> = {},
): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const options = { signal, agent: false, headers: fields } as const;
    const onUnix = base.startsWith('unix:');
    const send = /^https:/i.test(base) ? requestHttps : requestHttp;
    const request = onUnix
      ? requestHttp({
          ...options,
          socketPath: base.slice(5),
          path,
          headers: { ...fields, host: 'localhost' },
        })
      : send(new URL(`${base.replace(/\/$/, '')}${path}`), options);
    request.once('error', reject);
    request.once('response', resolve);
    request.end();
  });
}
