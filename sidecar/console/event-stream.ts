import type { ServerResponse } from 'node:http';
import { securityHeaders } from '../../web/security-headers.ts';

const heartbeatMs = 15_000;

/**
 * Server-sent events of one document, to one reader: each state of it, or fewer where the reader is slow. Only the newest state
 * waits, so that a slow reader costs one document.
 *
 * @see https://html.spec.whatwg.org/multipage/server-sent-events.html
 */
export class DocumentStream {
  readonly #response: ServerResponse;
  readonly #heartbeat: NodeJS.Timeout;
  #sent = '';
  #waiting: string | undefined;

  constructor(response: ServerResponse) {
    this.#response = response;
    response.writeHead(200, { ...securityHeaders, 'content-type': 'text/event-stream' });
    response.write('retry: 2000\n\n');
    this.#heartbeat = setInterval(() => {
      if (!response.writableNeedDrain) response.write(':\n\n');
    }, heartbeatMs).unref();
    response.on('drain', () => this.#goOn());
    response.on('close', () => clearInterval(this.#heartbeat));
  }

  /** Sends a state of the document unless it is the one that the reader has. */
  send(json: string): void {
    this.#waiting = json;
    if (!this.#response.writableNeedDrain) this.#goOn();
  }

  end(): void {
    clearInterval(this.#heartbeat);
    this.#response.end();
  }

  #goOn(): void {
    const json = this.#waiting;
    this.#waiting = undefined;
    if (json === undefined || json === this.#sent) return;
    this.#sent = json;
    // JSON of JSON.stringify holds no line break.
    this.#response.write(`data: ${json}\n\n`);
  }
}
