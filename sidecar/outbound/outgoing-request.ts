import { fieldId } from '../http1/field-names.ts';
import type { RequestHead } from '../http1/request-head.ts';
import type { SignableRequest } from '../signature/message.ts';

/** What outbound puts in place of, or adds to, the fields that the app sent. */
export interface Added {
  readonly service: string;
  readonly callee: string;
  readonly digest: string | undefined;
  /** Trailer of the streaming form; undefined when the body is not streamed. */
  readonly trailer: string | undefined;
  /** X-Service-Content-Length, where a streamed body's length is known. */
  readonly streamedLength: string | undefined;
  /** Content-Length of a body that is at hand. */
  readonly length: string | undefined;
}

/** The request as it leaves this sidecar: what its signature is made of. */
export class OutgoingRequest implements SignableRequest {
  readonly #head: RequestHead;
  readonly #added: Added;
  readonly scheme = 'http';

  constructor(head: RequestHead, added: Added) {
    this.#head = head;
    this.#added = added;
  }

  get method(): string {
    return this.#head.method;
  }
  get authority(): string {
    return this.#added.callee;
  }
  get target(): string {
    return this.#head.originForm;
  }
  get path(): string {
    return this.#head.path;
  }
  get query(): string {
    return this.#head.query;
  }

  field(name: string): string | undefined {
    switch (name) {
      case 'x-service-id':
        return this.#added.service;
      case 'content-digest':
        return this.#added.digest;
      case 'trailer':
        return this.#added.trailer;
      case 'x-service-content-length':
        return this.#added.streamedLength;
      case 'content-length':
        return this.#added.length;
      case 'transfer-encoding':
        return this.#added.trailer === undefined ? undefined : 'chunked';
      case 'upgrade':
        return this.#head.upgrade ? 'websocket' : undefined;
      case 'host':
        return this.#added.callee;
      default:
        return this.#head.countOf[(fieldId as Record<string, number>)[name] ?? 0] === 0
          ? undefined
          : this.#head.field(name);
    }
  }

  fieldLines(name: string): readonly string[] {
    const value = this.field(name);
    return value === undefined ? [] : [value];
  }

  trailer(): undefined {
    return undefined;
  }
}
