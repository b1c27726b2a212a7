import { FieldLines } from './field-lines.ts';
import type { BodyKind } from './request-head.ts';

/** A response head as it stood on the wire. One instance serves every response of a thread in turn. */
export class ResponseHead extends FieldLines {
  status = 0;
  /** The status line's code and phrase, `200 OK`. */
  statusAndPhrase = '';
  body: BodyKind = 'none';
  contentLength = 0;
  /** The upstream closes the connection after this response. */
  close = false;
  hopByHop: ReadonlySet<string> | undefined = undefined;
}
