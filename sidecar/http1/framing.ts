import { fieldId } from '../terms/field-names.ts';
import type { Refusal } from '../terms/refusal.ts';
import { authorityOf } from './authority.ts';
import { type ConnectionOptions, connectionOptions } from './connection-options.ts';
import type { FieldLines } from './field-lines.ts';
import type { RequestHead } from './request-head.ts';
import type { ResponseHead } from './response-head.ts';
import { statusLineFault } from './status-line.ts';

const malformed = (detail: string): Refusal => ({ reason: 'malformed-request', detail });
const usual: ConnectionOptions = {
  close: false,
  keepAlive: false,
  upgrade: false,
  named: undefined,
  endToEnd: undefined,
};

/**
 * The framing rules that llhttp leaves to a gateway: applied to a head that llhttp has accepted, they fill in the
 * head's path, query, authority, body and connection, or say why the message cannot be served.
 *
 * @param absoluteFormReplacesHost true for a forward proxy (outbound), where the target names the callee
 * @see RFC 9112 §3, §6; RFC 9110 §7.2, §7.6.1
 */
export function frameRequest(head: RequestHead, absoluteFormReplacesHost: boolean): Refusal | undefined {
  return (
    frameRequestLine(head) ??
    frameTarget(head, absoluteFormReplacesHost) ??
    frameBody(head) ??
    frameConnection(head)
  );
}

function frameRequestLine(head: RequestHead): Refusal | undefined {
  const { text, method, target } = head;
  const afterTarget = method.length + 1 + target.length;
  // Exactly `method SP target SP HTTP/1.x CRLF`: llhttp tolerates more spaces, and a bare CR or LF in front.
  if (
    method.charCodeAt(0) <= 0x20 ||
    method.endsWith(' ') ||
    target.length === 0 ||
    text.charCodeAt(afterTarget) !== 0x20 ||
    !text.startsWith('HTTP/', afterTarget + 1) ||
    text.charCodeAt(afterTarget + 9) !== 0x0d
  ) {
    return malformed('The request line is not "method SP target SP HTTP/1.1" with single spaces.');
  }
  const major = text.charCodeAt(afterTarget + 6) - 0x30;
  const minor = text.charCodeAt(afterTarget + 8) - 0x30;
  if (major !== 1 || (minor !== 0 && minor !== 1)) {
    return { reason: 'version-not-supported', detail: 'Only HTTP/1.0 and HTTP/1.1 are served.' };
  }
  head.minorVersion = minor;
  if (method === 'CONNECT' || method === 'TRACE') {
    return {
      reason: 'not-implemented',
      detail: `${method} is not served: it would carry what nobody checks.`,
    };
  }
  return undefined;
}

function frameTarget(head: RequestHead, absoluteFormReplacesHost: boolean): Refusal | undefined {
  const hosts = head.countOf[fieldId.host]!;
  if (hosts > 1) return malformed('Found more than one Host field, expected one.');
  let authority = '';
  if (hosts === 1) {
    const host = head.value(head.firstOf[fieldId.host]! - 1);
    const parsed = authorityOf(host);
    if (parsed === undefined) return malformed('The Host field is not a host with an optional port.');
    authority = parsed;
  } else if (head.minorVersion === 1) {
    return malformed('HTTP/1.1 without a Host field.');
  }
  const { target } = head;
  let pathAt = 0;
  if (target.charCodeAt(0) !== 0x2f) {
    if (target === '*') {
      if (head.method !== 'OPTIONS') return malformed(`The target * is for OPTIONS, not for ${head.method}.`);
      head.path = '*';
      head.query = '?';
      head.originForm = '*';
      head.authority = authority;
      return undefined;
    }
    const absolute = /^([A-Za-z][A-Za-z0-9+.-]*):\/\/([^/?]*)/.exec(target);
    if (absolute === null) return malformed('The request target is neither a path nor an absolute http URL.');
    if (absolute[1]!.toLowerCase() !== 'http')
      return malformed('The scheme of the request target is not http.');
    if (absolute[2]!.includes('@')) return malformed('The request target carries userinfo.');
    const parsed = authorityOf(absolute[2]!);
    if (parsed === undefined)
      return malformed('The authority of the request target is not a host with an optional port.');
    if (!absoluteFormReplacesHost && hosts === 1 && parsed !== authority) {
      return malformed('The authority of the request target contradicts the Host field.');
    }
    authority = parsed;
    pathAt = absolute[0].length;
  }
  if (target.includes('#')) return malformed('The request target has a fragment.');
  const queryAt = target.indexOf('?', pathAt);
  const path = target.slice(pathAt, queryAt < 0 ? target.length : queryAt);
  head.path = path === '' ? '/' : path;
  head.originForm = pathAt === 0 ? target : (path === '' ? '/' : '') + target.slice(pathAt);
  head.query = queryAt < 0 ? '?' : target.slice(queryAt);
  head.authority = authority;
  return undefined;
}

function frameBody(head: RequestHead): Refusal | undefined {
  const codings = head.countOf[fieldId['transfer-encoding']]!;
  const lengths = head.countOf[fieldId['content-length']]!;
  head.body = 'none';
  head.contentLength = 0;
  if (codings > 0) {
    if (head.minorVersion === 0) return malformed('Transfer-Encoding in HTTP/1.0.');
    if (lengths > 0) return malformed('Transfer-Encoding beside Content-Length.');
    if (codings > 1 || head.known(fieldId['transfer-encoding'])!.toLowerCase() !== 'chunked') {
      return malformed('Transfer-Encoding is not exactly "chunked".');
    }
    head.body = 'chunked';
  } else if (lengths > 0) {
    const length = contentLength(head);
    if (length < 0) return malformed('Content-Length is not one number of at most 15 digits.');
    head.body = 'length';
    head.contentLength = length;
  }
  return undefined;
}

/** The value of Content-Length; -1 when it is not one number of at most 15 digits. */
function contentLength({ countOf, firstOf, offsets, text }: FieldLines): number {
  if (countOf[fieldId['content-length']] !== 1) return -1;
  const line = firstOf[fieldId['content-length']]! - 1;
  const start = offsets[4 * line + 2]!;
  const end = offsets[4 * line + 3]!;
  let length = end > start && end - start <= 15 ? 0 : -1;
  for (let i = start; i < end && length >= 0; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    length = digit >= 0 && digit <= 9 ? 10 * length + digit : -1;
  }
  return length;
}

function frameConnection(head: RequestHead): Refusal | undefined {
  const options =
    head.countOf[fieldId.connection] === 0 ? usual : connectionOptions(head.known(fieldId.connection)!);
  if (options.endToEnd !== undefined) {
    return malformed(`Connection names "${options.endToEnd}", which a signature covers.`);
  }
  head.close = options.close || (head.minorVersion === 0 && !options.keepAlive);
  head.hopByHop = options.named;
  head.upgrade =
    options.upgrade &&
    head.minorVersion === 1 &&
    head.method === 'GET' &&
    !head.hasBody &&
    head.known(fieldId.upgrade)?.toLowerCase() === 'websocket';
  head.expects =
    head.countOf[fieldId.expect] !== 0 &&
    head.known(fieldId.expect)!.toLowerCase() === '100-continue' &&
    head.hasBody;
  return undefined;
}

/**
 * As `frameRequest`, for a response to a request of the given method; the result says what is wrong with it.
 *
 * @see RFC 9112 §6.3; RFC 9110 §8.6
 */
export function frameResponse(head: ResponseHead, method: string): string | undefined {
  const fault = statusLineFault(head);
  if (fault !== undefined) return fault;
  const codings = head.countOf[fieldId['transfer-encoding']]!;
  const lengths = head.countOf[fieldId['content-length']]!;
  const options =
    head.countOf[fieldId.connection] === 0 ? usual : connectionOptions(head.known(fieldId.connection)!);
  if (options.endToEnd !== undefined) return `its Connection field names "${options.endToEnd}"`;
  head.close = options.close || (head.minorVersion === 0 && !options.keepAlive);
  head.hopByHop = options.named;
  head.contentLength = 0;
  if (lengths > 0) {
    const length = contentLength(head);
    if (length < 0) return 'the response has no single, numeric Content-Length';
    head.contentLength = length;
  }
  if (head.status < 200 || head.status === 204 || head.status === 304 || method === 'HEAD') {
    head.body = 'none';
    // It must not stand there, and a client that heeds it waits for a body, or takes the next response for one.
    if (lengths > 0 && (head.status < 200 || head.status === 204)) head.discard(fieldId['content-length']);
  } else if (codings > 0) {
    if (lengths > 0) return 'the response has Transfer-Encoding beside Content-Length';
    if (codings > 1 || head.known(fieldId['transfer-encoding'])!.toLowerCase() !== 'chunked') {
      return 'the response has a transfer coding other than "chunked"';
    }
    head.body = 'chunked';
  } else {
    head.body = lengths > 0 ? 'length' : 'until-close';
  }
  return undefined;
}
