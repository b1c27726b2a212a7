import { reasons } from '../terms/reasons.ts';
import type { Refusal } from '../terms/refusal.ts';
import { FieldSection } from './field-section.ts';
import { type ResponseToSend, responseText } from './outgoing-message.ts';

const phrases: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  408: 'Request Timeout',
  413: 'Content Too Large',
  431: 'Request Header Fields Too Large',
  501: 'Not Implemented',
  502: 'Bad Gateway',
  503: 'Service Unavailable',
  504: 'Gateway Timeout',
  505: 'HTTP Version Not Supported',
};

const typeBase = 'urn:countersign:problem:';

/** The name of the field that marks an answer as a sidecar's own; inbound removes it from what apps answer. */
export const refusalField = 'X-Service-Refusal';

/**
 * The name of the field with which inbound tells the caller's sidecar, which takes it out again, that the call was
 * denied and forwarded all the same.
 */
export const denialField = 'X-Service-Denial';

/** A response that refuses a call (RFC 9457), as data. */
export interface Problem {
  readonly status: number;
  readonly response: ResponseToSend;
  /** ASCII. */
  readonly body: string;
}

export function problem({ reason, detail }: Refusal, requestId: string): Problem {
  const { status, title } = reasons[reason];
  const document = { type: `${typeBase}${reason}`, title, status, detail, reason, request_id: requestId };
  const body = JSON.stringify(document).replace(
    /[^ -~]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  const fields = new FieldSection()
    .add('Content-Type', 'application/problem+json')
    .add('Content-Length', String(body.length));
  if (status === 401) fields.add('WWW-Authenticate', 'Signature realm="countersign"');
  fields.add(refusalField, reason).add('X-Request-ID', requestId);
  const statusAndPhrase = `${status} ${phrases[status]}`;
  return { status, response: { statusAndPhrase, fields, body: 'length', length: body.length }, body };
}

/**
 * A problem in HTTP/1.1 as a whole.
 *
 * @param withBody false in answer to HEAD
 */
export function problemText({ response, body }: Problem, close: boolean, withBody: boolean): string {
  const head = responseText(response.statusAndPhrase, response.fields, 'length', close ? 'close' : undefined);
  return withBody ? head + body : head;
}
