import { traceparentOf } from '../../signals/trace-context.ts';
import type { Call } from '../exchange/role.ts';
import { dropTable } from '../http1/field-lines.ts';
import { FieldSection } from '../http1/field-section.ts';
import type { RequestToSend } from '../http1/outgoing-message.ts';
import type { RequestHead } from '../http1/request-head.ts';
import { announcedTrailers } from '../http1/trailer-fields.ts';
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

/** As `dropped`, of a call in a trace that is continued. */
const droppedInTrace = dropTable(
  ...requestHopFields,
  ...serviceFields,
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'traceparent',
);

/** Who calls, as far as the app may be told. */
export interface Caller {
  readonly caller: string;
  /** The signature fields hold nothing but the proof of it. */
  readonly alone: boolean;
}

/** How the body of a request is framed towards the app. */
export type AppFraming =
  | { readonly framing: 'none' | 'chunked' }
  | { readonly framing: 'length'; readonly length: number };

/**
 * The head that the app gets: built from the parsed head, with identity fields only as they were proven.
 *
 * @param proven whose call it is; undefined when nobody proved anything
 * @param service the Host of an HTTP/1.0 request that has none
 * @see RFC 9110 §7.6
 */
export function composeForApp(
  head: RequestHead,
  { requestId, span, callerEnd: { peerAddress } }: Call,
  proven: Caller | undefined,
  service: string,
  body: AppFraming,
): RequestToSend {
  const authority = head.authority || service;
  const received = proven === undefined ? undefined : head.known(fieldId['x-forwarded-for']);
  const fields = new FieldSection();
  if (head.countOf[fieldId.host] === 0) fields.add('Host', authority);
  fields.addKept(head, span === undefined ? dropped : droppedInTrace, head.hopByHop);
  if (span !== undefined) fields.add('traceparent', traceparentOf(span));
  if (proven?.alone !== true) addForeignSignatures(head, fields);
  if (proven !== undefined) fields.add('X-Service-ID', proven.caller);
  fields
    .add('X-Forwarded-For', received === undefined ? peerAddress : `${received}, ${peerAddress}`)
    .add('X-Forwarded-Proto', 'http')
    .add('X-Forwarded-Host', authority)
    .add('X-Request-ID', requestId);
  const trailers = body.framing === 'chunked' ? announcedTrailers(head.known(fieldId.trailer)) : [];
  if (trailers.length > 0) fields.add('Trailer', trailers.join(', '));
  return {
    method: head.method,
    target: head.originForm,
    fields,
    framing: body.framing,
    length: body.framing === 'length' ? body.length : 0,
    upgrade: head.upgrade,
  };
}

/** The signature members of other parties, untouched. */
function addForeignSignatures(head: RequestHead, fields: FieldSection): void {
  if (head.countOf[fieldId['signature-input']] === 0 && head.countOf[fieldId.signature] === 0) return;
  const { signatureInput, signature } = withoutOurMembers(
    head.known(fieldId['signature-input']),
    head.known(fieldId.signature),
  );
  if (signatureInput !== undefined) fields.add('Signature-Input', signatureInput);
  if (signature !== undefined) fields.add('Signature', signature);
}
