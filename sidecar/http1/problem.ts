import { type Reason, reasons } from '../terms/reasons.ts';

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

/**
 * A whole response that refuses a call: an RFC 9457 problem.
 *
 * @param withBody false in answer to HEAD
 */
export function problemResponse(
  reason: Reason,
  detail: string,
  requestId: string,
  close: boolean,
  withBody: boolean,
): string {
  const { status, title } = reasons[reason];
  const problem = { type: `${typeBase}${reason}`, title, status, detail, reason, request_id: requestId };
  const body = JSON.stringify(problem).replace(
    /[^ -~]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
  return (
    `HTTP/1.1 ${status} ${phrases[status]}\r\n` +
    'Content-Type: application/problem+json\r\n' +
    `Content-Length: ${body.length}\r\n` +
    (status === 401 ? 'WWW-Authenticate: Signature realm="countersign"\r\n' : '') +
    `${refusalField}: ${reason}\r\nX-Request-ID: ${requestId}\r\n` +
    (close ? 'Connection: close\r\n\r\n' : '\r\n') +
    (withBody ? body : '')
  );
}
