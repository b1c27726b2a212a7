import type { RequestHead } from '../http1/request-head.ts';
import { announcedTrailers } from '../http1/trailer-fields.ts';
import { streamingTrailers } from '../signature/coverage-rules.ts';
import type { SignableRequest } from '../signature/message.ts';
import { fieldId, fieldNumber } from '../terms/field-names.ts';

const { host, trailer, upgrade, traceparent } = fieldId;
const contentDigest = fieldId['content-digest'];
const contentLength = fieldId['content-length'];
const serviceId = fieldId['x-service-id'];
const streamedLength = fieldId['x-service-content-length'];
const transferEncoding = fieldId['transfer-encoding'];

/** How the body that leaves is framed, and how it is proven: lengths in bytes. */
export type OutgoingBody =
  /** There is none; a length of 0 where the app said so. */
  | { readonly proof: 'none'; readonly length: 0 | undefined }
  /** By its digest in the head. */
  | { readonly proof: 'digest'; readonly length: number; readonly digest: string }
  /** By its digest in the trailer section of a chunked body; with X-Service-Content-Length where it is known. */
  | { readonly proof: 'trailer'; readonly length: number | undefined }
  /** By TLS record by record: in the app's own framing, chunked where the length is not known. */
  | { readonly proof: 'tls'; readonly length: number | undefined };

/** What outbound puts in place of, or adds to, the fields that the app sent. */
export interface Added {
  readonly service: string;
  readonly callee: string;
  /** Fields to cover when they are present, beside the usual ones. */
  readonly coveredFields: readonly string[];
  /** In place of the app's, when its trace is continued here. */
  readonly traceparent: string | undefined;
  readonly body: OutgoingBody;
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
    const id = fieldNumber(name);
    return id === 0 ? this.#head.field(name) : this.known(id);
  }

  known(id: number): string | undefined {
    const { body } = this.#added;
    switch (id) {
      case serviceId:
        return this.#added.service;
      case contentDigest:
        return body.proof === 'digest' ? body.digest : undefined;
      case trailer:
        return trailerField(this.#head, body);
      case streamedLength:
        return body.proof === 'trailer' && body.length !== undefined ? String(body.length) : undefined;
      case contentLength:
        return body.proof === 'trailer' || body.length === undefined ? undefined : String(body.length);
      case transferEncoding:
        return isChunked(body) ? 'chunked' : undefined;
      case upgrade:
        return this.#head.upgrade ? 'websocket' : undefined;
      case traceparent:
        return this.#added.traceparent ?? this.#head.known(id);
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

  trailerNames(): readonly string[] {
    return [];
  }
}

/** The Trailer field: the fields of the streaming form, and those that the app announced. */
export function trailerField(head: RequestHead, body: OutgoingBody): string | undefined {
  if (!isChunked(body)) return undefined;
  const own = announcedTrailers(head.known(trailer));
  const names = body.proof === 'trailer' ? [...streamingTrailers, ...own] : own;
  return names.length === 0 ? undefined : names.join(', ');
}

/** Whether a body leaves in chunks. */
export function isChunked({ proof, length }: OutgoingBody): boolean {
  return proof === 'trailer' || (proof === 'tls' && length === undefined);
}
