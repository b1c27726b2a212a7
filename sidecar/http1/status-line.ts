import { fieldId } from '../terms/field-names.ts';
import type { ResponseHead } from './response-head.ts';

/**
 * What is wrong with the status line of a response. Clients disagree about every number that is no final status and no
 * interim one: some take it for the answer, and would read the real one as the answer to their next request.
 *
 * @see RFC 9110 §15; RFC 9112 §4
 */
export function statusLineFault({ text, status, minorVersion }: ResponseHead): string | undefined {
  if (
    !text.startsWith('HTTP/1.') ||
    (minorVersion !== 0 && minorVersion !== 1) ||
    text.charCodeAt(8) !== 0x20
  )
    return 'the response is not HTTP/1.0 or HTTP/1.1';
  const afterStatus = text.charCodeAt(12);
  if (status < 100 || status > 599 || (afterStatus !== 0x20 && afterStatus !== 0x0d))
    return `the response has the status ${text.slice(9, 12)}, expected three digits from 100 to 599`;
  for (let at = 12; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code >= 0x20 ? code !== 0x7f : code === 0x09) continue;
    if (code === 0x0d) break;
    return 'the reason phrase of the response has a control character';
  }
  return undefined;
}

/** What is wrong with a 101 (Switching Protocols). WebSocket is the only upgrade (RFC 9110 §15.2.2). */
export function switchFault(head: ResponseHead, askedFor: boolean): string | undefined {
  if (!askedFor) return 'the response switches protocols, which the request did not ask for';
  if (head.minorVersion === 0) return 'the response switches protocols in HTTP/1.0';
  const protocol = head.known(fieldId.upgrade)?.toLowerCase();
  return protocol === 'websocket' ? undefined : 'the response switches to another protocol than websocket';
}
