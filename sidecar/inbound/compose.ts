import type { SentFraming } from '../connections/body-writer.ts';
import { dropTable } from '../http1/field-lines.ts';
import type { RequestHead } from '../http1/request-head.ts';
import { withoutOurMembers } from '../signature/members.ts';
import { fieldId, requestHopFields, serviceFields } from '../terms/field-names.ts';

/** What ends here on the way to the app, or is written anew. */
const dropped = dropTable(
  ...requestHopFields,
  ...serviceFields,
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
);

/** Who calls, as far as the app may be told. */
export interface Caller {
  readonly caller: string;
  /** The signature fields hold nothing but the proof of it. */
  readonly alone: boolean;
}

/**
 * The head that the app gets: built from the parsed head, with identity fields only as they were proven.
 *
 * @param proven whose call it is; undefined when nobody proved anything
 * @param service the Host of an HTTP/1.0 request that has none
 * @param length bytes of the body, where its framing is `length` or it is at hand
 * @see RFC 9110 §7.6
 */
export function composeForApp(
  head: RequestHead,
  call: { readonly requestId: string; readonly peerAddress: string },
  proven: Caller | undefined,
  service: string,
  framing: SentFraming,
  length: number | undefined,
): string {
  const received = proven === undefined ? undefined : head.known(fieldId['x-forwarded-for']);
  const forwardedFor = received === undefined ? call.peerAddress : `${received}, ${call.peerAddress}`;
  return (
    `${head.method} ${head.originForm} HTTP/1.1\r\n` +
    (head.countOf[fieldId.host] === 0 ? `Host: ${head.authority || service}\r\n` : '') +
    head.keptLines(dropped, head.hopByHop) +
    (proven?.alone === true ? '' : foreignSignatures(head)) +
    (proven === undefined ? '' : `X-Service-ID: ${proven.caller}\r\n`) +
    `X-Forwarded-For: ${forwardedFor}\r\nX-Forwarded-Proto: http\r\nX-Forwarded-Host: ${head.authority || service}\r\n` +
    `X-Request-ID: ${call.requestId}\r\n` +
    (framing === 'chunked' ? 'Transfer-Encoding: chunked\r\n' : '') +
    (length === undefined ? '' : `Content-Length: ${length}\r\n`) +
    (head.upgrade ? 'Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n' : '\r\n')
  );
}

/** The signature members of other parties, untouched. */
function foreignSignatures(head: RequestHead): string {
  if (head.countOf[fieldId['signature-input']] === 0 && head.countOf[fieldId.signature] === 0) return '';
  const { signatureInput, signature } = withoutOurMembers(
    head.known(fieldId['signature-input']),
    head.known(fieldId.signature),
  );
  return (
    (signatureInput === undefined ? '' : `Signature-Input: ${signatureInput}\r\n`) +
    (signature === undefined ? '' : `Signature: ${signature}\r\n`)
  );
}
