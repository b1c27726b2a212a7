import type { Reason } from '../terms/reasons.ts';
import type { Refusal } from '../terms/refusal.ts';
import { type HeadError, tooManyFields } from './head-parser.ts';
import { llhttpError } from './llhttp.ts';

/** A head of more bytes than `limits.head`. */
export function headTooLarge(limit: number): Refusal {
  return { reason: 'head-too-large', detail: `The head is larger than limits.head, ${limit} bytes.` };
}

/**
 * What is said of a head that llhttp refused.
 *
 * @param start where the head begins in `buffer`
 * @param limit most field lines
 */
export function headRefusal(error: HeadError, buffer: Buffer, start: number, limit: number): Refusal {
  const line = buffer.latin1Slice(start, buffer.indexOf('\r\n', start));
  const reason: Reason =
    error.error === tooManyFields
      ? 'head-too-large'
      : /^\S+ \S+ HTTP\/(?!1\.[01]$)\d\.\d$/.test(line)
        ? 'version-not-supported'
        : error.error === llhttpError.invalidMethod && /^[!#$%&'*+.^`|~\w-]+ \S+ HTTP\/1\.[01]$/.test(line)
          ? 'not-implemented'
          : 'malformed-request';
  const words = reason === 'head-too-large' ? `limits.headers allows ${limit} fields` : error.words;
  return { reason, detail: `The head cannot be served: ${words}.` };
}

/** Whether a head that is not complete holds a line end that cannot become a CRLF. */
export function hasBareLineEnd(buffer: Buffer, start: number, end: number): boolean {
  for (let at = buffer.indexOf(0x0a, start); at >= 0 && at < end; at = buffer.indexOf(0x0a, at + 1)) {
    if (at === start || buffer[at - 1] !== 0x0d) return true;
  }
  for (let at = buffer.indexOf(0x0d, start); at >= 0 && at < end - 1; at = buffer.indexOf(0x0d, at + 1)) {
    if (buffer[at + 1] !== 0x0a) return true;
  }
  return false;
}
