import type { SignableRequest } from '../signature/message.ts';
import { fieldId } from '../terms/field-names.ts';
import { FieldLines } from './field-lines.ts';

/** How the end of a body is found (RFC 9112 §6.3). */
export type BodyKind = 'none' | 'length' | 'chunked' | 'until-close';

/**
 * A request head as it stood on the wire, and what the framing rules made of it.
 *
 * One instance serves every request of a thread in turn: whoever needs it beyond the current turn of the event
 * loop takes a `copy()`.
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

  /** A head of its own, for work that outlives the current turn of the event loop. */
  copy(): RequestHead {
    const copy = new RequestHead(this.fieldCount);
    this.copyLines(copy);
    copy.method = this.method;
    copy.target = this.target;
    copy.path = this.path;
    copy.query = this.query;
    copy.originForm = this.originForm;
    copy.authority = this.authority;
    copy.trailers = this.trailers;
    copy.body = this.body;
    copy.contentLength = this.contentLength;
    copy.close = this.close;
    copy.upgrade = this.upgrade;
    copy.expects = this.expects;
    copy.hopByHop = this.hopByHop;
    return copy;
  }
}
