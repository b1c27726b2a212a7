import type { RequestHead } from '../http1/request-head.ts';
import type { SignableRequest } from '../signature/message.ts';
import { fieldId, fieldNumber } from '../terms/field-names.ts';

const { host, trailer, upgrade } = fieldId;
const contentDigest = fieldId['content-digest'];
const contentLength = fieldId['content-length'];
const serviceId = fieldId['x-service-id'];
const streamedLength = fieldId['x-service-content-length'];
const transferEncoding = fieldId['transfer-encoding'];

/** What outbound puts in place of, or adds to, the fields that the app sent. */
export interface Added {
  readonly service: string;
  readonly callee: string;
  readonly digest: string | undefined;
  /** Trailer of the streaming form; undefined when the body is not streamed. */
  readonly trailer: string | undefined;
  /** X-Service-Content-Length, where a streamed body's length is known. */
  readonly streamedLength: string | undefined;
  /** Content-Length of a body that is at hand, in bytes. */
  readonly length: number | undefined;
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
    return this.known(fieldNumber(name));
  }

  known(id: number): string | undefined {
    switch (id) {
      case serviceId:
        return this.#added.service;
      case contentDigest:
        return this.#added.digest;
      case trailer:
        return this.#added.trailer;
      case streamedLength:
        return this.#added.streamedLength;
      case contentLength:
        return this.#added.length === undefined ? undefined : String(this.#added.length);
      case transferEncoding:
        return this.#added.trailer === undefined ? undefined : 'chunked';
      case upgrade:
        return this.#head.upgrade ? 'websocket' : undefined;
      case host:
        return this.#added.callee;
      default:
        return this.#head.known(id);
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
