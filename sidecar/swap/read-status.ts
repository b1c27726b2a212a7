import { get } from 'node:http';
import { type CallTotals, callTotals } from './call-totals.ts';
import type { Host } from './host.ts';

const timeoutMs = 2_000;
const mostBytes = 4 * 1024 * 1024;

/**
 * Asks the admin listener which sidecar serves.
 *
 * @param admin `127.0.0.1:15000` or `unix:PATH`
 * @returns undefined when nothing answers in time, or not as a sidecar does
 */
export async function readStatus(admin: string): Promise<Host['serving']> {
  const text = await fetchText(admin, '/status').catch(() => undefined);
  if (text === undefined) return undefined;
  try {
    const { phase, version, ready } = JSON.parse(text) as Record<string, unknown>;
    if ((phase !== 'logging' && phase !== 'enforcing') || typeof version !== 'string') return undefined;
    return { phase, version, ready: ready === true };
  } catch {
    return undefined;
  }
}

/**
 * Asks the admin listener how many calls there were, and how many of them failed.
 *
 * @param admin `127.0.0.1:15000` or `unix:PATH`
 * @returns undefined when nothing answers in time
 */
export async function readCalls(admin: string): Promise<CallTotals | undefined> {
  const text = await fetchText(admin, '/metrics').catch(() => undefined);
  return text === undefined ? undefined : callTotals(text);
}

function fetchText(admin: string, path: '/status' | '/metrics'): Promise<string> {
  const unix = /^unix:(.+)$/.exec(admin)?.[1];
  const { hostname, port } =
    unix === undefined ? new URL(`http://${admin}`) : { hostname: 'localhost', port: '' };
  const where = unix === undefined ? { host: hostname.replace(/^\[|\]$/g, ''), port } : { socketPath: unix };
  return new Promise((resolve, reject) => {
    const request = get(
      {
        ...where,
        path,
        agent: false,
        headers: { host: unix === undefined ? admin : 'localhost' },
        signal: AbortSignal.timeout(timeoutMs),
      },
      (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => {
          text += part;
          if (text.length > mostBytes) request.destroy(new Error('the answer is too long'));
        });
        response.on('error', reject).on('end', () => resolve(text));
      },
    );
    request.on('error', reject);
  });
}
