import type { SignableRequest } from '../signature/message.ts';
import { fieldId } from '../terms/field-names.ts';
import { FieldLines } from './field-lines.ts';

/** How the end of a body is found (RFC 9112 §6.3). */
export type BodyKind = 'none' | 'length' | 'chunked' | 'until-close';

/**
 * A request head as it stood on the wire, and what the framing rules made of it.
 *
 * It may be the live one: one instance serves all requests of a thread, and holds the next head as soon as that is
 * parsed. It is valid within the current turn of the event loop only. What outlives that takes a `KeptRequestHead`.
 */
export class RequestHead extends FieldLines implements SignableRequest {
  method = '';
  target = '';
  path = '/';
  /** With its `?`; `?` alone when the target has none. */
  query = '?';
  /** The target without scheme and authority: what is asked of an origin server. */
  originForm = '/';
  /** Lower case, default port dropped; empty in HTTP/1.0 without Host. */
  authority = '';
  readonly scheme = 'http';
  /** Fields of the trailer section, lower-case name to combined value, once they have arrived. */
  trailers: ReadonlyMap<string, string> | undefined = undefined;

  body: BodyKind = 'none';
  /** Bytes of the body; meaningful where `body` is `length`. */
  contentLength = 0;
  /** The connection ends with this exchange. */
  close = false;
  /** The caller asks for a WebSocket (the only upgrade there is). */
  upgrade = false;
  /** The caller waits for 100 (Continue) before it sends the body. */
  expects = false;
  /** Lower-case names that Connection lists beyond the usual ones: they end at this hop. */
  hopByHop: ReadonlySet<string> | undefined = undefined;

  trailer(name: string): string | undefined {
    return this.trailers?.get(name);
  }

  trailerNames(): readonly string[] {
    return [...(this.trailers?.keys() ?? [])];
  }

  /** Whether a message with this head has a body (RFC 9112 §6). */
  get hasBody(): boolean {
    return this.body === 'chunked' || (this.body === 'length' && this.contentLength > 0);
  }

  /**
   * Whether the request is its head alone and may be made twice without harm: such requests may share a connection
   * with others that are under way (RFC 9110 §9.2.1, RFC 9112 §9.3.2).
   */
  get isSafe(): boolean {
    const { method, countOf } = this;
    return (
      (method === 'GET' || method === 'HEAD' || method === 'OPTIONS') &&
      !this.hasBody &&
      !this.upgrade &&
      // An app that heeds one of these takes it for another method.
      countOf[fieldId['x-http-method']] === 0 &&
      countOf[fieldId['x-http-method-override']] === 0 &&
      countOf[fieldId['x-method-override']] === 0
    );
  }

  /** A head that stays as it is, for work that outlives the current turn of the event loop. */
  keep(): KeptRequestHead {
    const kept = new KeptRequestHead(this.fieldCount);
    this.copyLines(kept);
    kept.method = this.method;
    kept.target = this.target;
    kept.path = this.path;
    kept.query = this.query;
    kept.originForm = this.originForm;
    kept.authority = this.authority;
    kept.trailers = this.trailers;
    kept.body = this.body;
    kept.contentLength = this.contentLength;
    kept.close = this.close;
    kept.upgrade = this.upgrade;
    kept.expects = this.expects;
    kept.hopByHop = this.hopByHop;
    return kept;
  }
}

/** A request head that belongs to one request: no other head is parsed into it. Made by `RequestHead.keep()`. */
export class KeptRequestHead extends RequestHead {
  /** Makes it a type of its own: a live head is none. */
  declare protected readonly isKept: true;

  override keep(): KeptRequestHead {
    return this;
  }
}
