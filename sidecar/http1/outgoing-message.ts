import type { FieldSection } from './field-section.ts';

/** How the end of a body that we send is shown (RFC 9112 §6). */
export type SentFraming = 'none' | 'length' | 'chunked' | 'until-close';

/** The head of a request to send, as data. Framing and connection fields are the encoder's. */
export interface RequestToSend {
  readonly method: string;
  /** In origin-form (RFC 9112 §3.2.1), or `*`. */
  readonly target: string;
  readonly fields: FieldSection;
  readonly framing: Exclude<SentFraming, 'until-close'>;
  /** Bytes of the body where `framing` is `length`. */
  readonly length: number;
  /** It asks for a WebSocket. */
  readonly upgrade: boolean;
}

/**
 * The head of a response to send, as data. Content-Length, where there is one, is among the fields: it may stand
 * there without a body, in answer to HEAD (RFC 9110 §8.6).
 */
export interface ResponseToSend {
  /** The status line's code and phrase, `200 OK`. */
  readonly statusAndPhrase: string;
  readonly fields: FieldSection;
  /** `unknown`: the length of the body shows at its end. */
  readonly body: 'none' | 'length' | 'unknown';
  /** Bytes of the body where `body` is `length`. */
  readonly length: number;
}

/** The head of a request in HTTP/1.1, through its empty line. */
export function requestText({ method, target, fields, framing, length, upgrade }: RequestToSend): string {
  return (
    `${method} ${target} HTTP/1.1\r\n${fields.http1Lines}` +
    (framing === 'none'
      ? ''
      : framing === 'length'
        ? `Content-Length: ${length}\r\n`
        : 'Transfer-Encoding: chunked\r\n') +
    (upgrade ? 'Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n' : '\r\n')
  );
}

/**
 * The head of a response in HTTP/1.1, through its empty line.
 *
 * @param connection what the Connection field says; undefined to leave it out
 */
export function responseText(
  statusAndPhrase: string,
  fields: FieldSection,
  framing: SentFraming,
  connection: 'close' | 'keep-alive' | undefined,
): string {
  return (
    `HTTP/1.1 ${statusAndPhrase}\r\n${fields.http1Lines}` +
    (framing === 'chunked' ? 'Transfer-Encoding: chunked\r\n' : '') +
    (connection === undefined ? '\r\n' : `Connection: ${connection}\r\n\r\n`)
  );
}
