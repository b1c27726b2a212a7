import type { Exchange } from '../exchange/exchange.ts';
import type { OwnedSocket } from './socket.ts';

/** Most exchanges that one connection has under way. */
const mostTurns = 16;

/** Whoever has responses that leave at the end of this turn of the event loop. */
const leaving: Turns[] = [];

/**
 * The exchanges that are under way on one connection. Several are when their requests are safe: those run side by
 * side, and their responses leave in the order of the requests (RFC 9112 §9.3.2), what is ready in the same turn of
 * the event loop in one write.
 */
export class Turns {
  /** The exchange whose response leaves next. */
  front: Exchange | undefined = undefined;
  readonly #socket: OwnedSocket;
  #behind: Exchange[] | undefined = undefined;
  /** Responses that are ready, while others follow them soon. */
  #ready = '';

  constructor(socket: OwnedSocket) {
    this.#socket = socket;
  }

  /** Whether another exchange may follow the one that is about to begin. */
  hasRoom(): boolean {
    return this.#behind === undefined || this.#behind.length + 2 < mostTurns;
  }

  /** Whether no exchange follows this one. */
  isLast(exchange: Exchange): boolean {
    const behind = this.#behind;
    return behind === undefined || behind.length === 0 || behind.at(-1) === exchange;
  }

  begin(exchange: Exchange): void {
    if (this.front === undefined) this.front = exchange;
    else if (this.#behind === undefined) this.#behind = [exchange];
    else this.#behind.push(exchange);
  }

  /** Sends a whole response, or has it kept until its turn has come. */
  send(exchange: Exchange, response: string): void {
    if (exchange !== this.front) exchange.held = response;
    else if (this.#behind !== undefined && this.#behind.length > 0) {
      if (this.#ready === '' && leaving.push(this) === 1) setImmediate(leave);
      this.#ready += response;
    } else if (this.#ready === '') this.#socket.write(response, 'latin1');
    else {
      this.#ready += response;
      this.flush();
    }
  }

  /** Writes what is ready: it goes before whatever is written to the socket by others. */
  flush(): void {
    const ready = this.#ready;
    if (ready === '') return;
    this.#ready = '';
    this.#socket.write(ready, 'latin1');
  }

  /** The response of the exchange in front has been sent: the next one's turn has come. */
  next(): Exchange | undefined {
    this.front = this.#behind?.shift();
    return this.front;
  }

  /** Forgets all exchanges, and gives them back in their order. */
  clear(): Exchange[] {
    const all = this.front === undefined ? [] : [this.front, ...(this.#behind ?? [])];
    this.front = undefined;
    this.#behind = undefined;
    return all;
  }
}

function leave(): void {
  for (const turns of leaving.splice(0)) turns.flush();
}
