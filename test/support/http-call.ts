import { type Agent, type OutgoingHttpHeaders, request } from 'node:http';

export interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly text: string;
}

export interface CallOptions {
  readonly method?: string;
  /** Sent as it is: a path, or a whole URL for a proxy. */
  readonly target: string;
  readonly headers?: OutgoingHttpHeaders;
  readonly body?: string | Buffer;
  readonly agent?: Agent;
}

/** One HTTP call to a port of 127.0.0.1. Without an agent it has a connection of its own. */
export function httpCall(port: number, { target, body, agent, ...rest }: CallOptions): Promise<Answer> {
  const { promise, resolve, reject } = Promise.withResolvers<Answer>();
  const { method = 'GET', headers } = rest;
  const host = target.startsWith('http:') ? new URL(target).host : `127.0.0.1:${port}`;
  const sent = request({
    host: '127.0.0.1',
    port,
    method,
    path: target,
    headers: { host, ...(body && { 'content-type': 'application/json' }), ...headers },
    agent: agent ?? false,
  });
  sent.once('error', reject);
  sent.once('response', (response) => {
    let text = '';
    response.setEncoding('utf8').on('data', (part: string) => {
      text += part;
    });
    response.once('error', reject);
    response.once('end', () =>
      resolve({ status: response.statusCode ?? 0, headers: response.headers, text }),
    );
  });
  sent.end(body);
  return promise;
}
