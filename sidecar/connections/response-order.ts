/** Most requests that one connection has under way. */
const mostUnderWay = 16;

/** A request that is under way, and its response if that is ready before its turn. */
export interface Ordered {
  /** A whole response that waits until its turn has come. */
  queued: string | undefined;
}

/** Connections with responses to flush in setImmediate. */
const flushing: ResponseOrder<Ordered>[] = [];

/**
 * The requests that are under way on one connection. Safe ones are pipelined: they run side by side, and their
 * responses leave in the order of the requests (RFC 9112 §9.3.2), those that are ready in the same turn of the event
 * loop in one write.
 */
export class ResponseOrder<Request extends Ordered> {
  readonly #write: (text: string) => void;
  #front: Request | undefined = undefined;
  #behind: Request[] | undefined = undefined;
  /** Responses that are ready, while others follow them soon. */
  #ready = '';

  /** @param write sends responses to the peer */
  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  /** The request whose response leaves next. */
  get front(): Request | undefined {
    return this.#front;
  }

  /** Whether another request may follow the one that is about to begin. */
  hasRoom(): boolean {
    return this.#behind === undefined || this.#behind.length + 2 < mostUnderWay;
  }

  /** Whether no request follows this one. */
  isLast(request: Request): boolean {
    const behind = this.#behind;
    return behind === undefined || behind.length === 0 || behind.at(-1) === request;
  }

  begin(request: Request): void {
    if (this.#front === undefined) this.#front = request;
    else if (this.#behind === undefined) this.#behind = [request];
    else this.#behind.push(request);
  }

  /** Sends a whole response, or keeps it until its turn has come. */
  send(request: Request, response: string): void {
    if (request !== this.#front) request.queued = response;
    else if (this.#behind !== undefined && this.#behind.length > 0) {
      if (this.#ready === '' && flushing.push(this as unknown as ResponseOrder<Ordered>) === 1) {
        setImmediate(flushAll);
      }
      this.#ready += response;
    } else if (this.#ready === '') this.#write(response);
    else {
      this.#ready += response;
      this.flush();
    }
  }

  /** Writes what is ready: it goes before anything else that is written to the connection. */
  flush(): void {
    const ready = this.#ready;
    if (ready === '') return;
    this.#ready = '';
    this.#write(ready);
  }

  /** The response in front has been sent: the next one's turn has come. */
  next(): Request | undefined {
    this.#front = this.#behind?.shift();
    return this.#front;
  }

  /** Forgets all requests. @returns them in their order */
  clear(): Request[] {
    const all = this.#front === undefined ? [] : [this.#front, ...(this.#behind ?? [])];
    this.#front = undefined;
    this.#behind = undefined;
    return all;
  }
}

function flushAll(): void {
  for (const order of flushing.splice(0)) order.flush();
}
