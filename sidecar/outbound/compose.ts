import { dropTable } from '../http1/field-lines.ts';
import { FieldSection } from '../http1/field-section.ts';
import type { RequestToSend } from '../http1/outgoing-message.ts';
import type { RequestHead } from '../http1/request-head.ts';
import { requiredComponents } from '../signature/coverage-rules.ts';
import type { PairKey } from '../signature/hmac.ts';
import { freeLabel, withoutOurMembers } from '../signature/members.ts';
import { signRequest } from '../signature/sign.ts';
import { fieldId, requestHopFields, serviceFields } from '../terms/field-names.ts';
import { newNonce } from './nonce.ts';
import { type Added, isChunked, OutgoingRequest, trailerField } from './outgoing-request.ts';

/** What ends here on the way to the callee, or is written anew. */
const dropped = dropTable(...requestHopFields, ...serviceFields, 'host', 'content-digest');

/** As `dropped`, of a call in a trace that is continued. */
const droppedInTrace = dropTable(
  ...requestHopFields,
  ...serviceFields,
  'host',
  'content-digest',
  'traceparent',
);

/** A key to sign with, and its key id. */
export interface SigningKey {
  readonly kid: string;
  readonly key: PairKey;
}

/** A head to send, and what a trailer signature needs to know of it. */
export interface SignedHead {
  readonly request: RequestToSend;
  readonly label: string;
  readonly created: number;
  /** The MAC in base64. */
  readonly mac: string;
}

/**
 * The head that leaves for the callee, signed.
 *
 * @param signing undefined when the keyring has no key for this callee and host: the call leaves unsigned, and
 *   what that means is for the callee's sidecar to say
 * @param nowMs milliseconds since the epoch
 */
export function composeForCallee(
  head: RequestHead,
  added: Added,
  requestId: string,
  signing: SigningKey | undefined,
  nowMs: number,
): SignedHead {
  const foreign =
    head.countOf[fieldId['signature-input']] === 0 && head.countOf[fieldId.signature] === 0
      ? {}
      : withoutOurMembers(head.known(fieldId['signature-input']), head.known(fieldId.signature));
  const { body } = added;
  const { proof, length } = body;
  const created = Math.floor(nowMs / 1000);
  const label = foreign.signatureInput === undefined ? 'svc' : freeLabel(foreign);
  let inputs = foreign.signatureInput;
  let signatures = foreign.signature;
  let mac = '';
  if (signing !== undefined) {
    const message = new OutgoingRequest(head, added);
    const covered = requiredComponents(message, proof === 'none' ? 'digest' : proof, added.coveredFields);
    const signed = signRequest(message, covered, signing.key, {
      kid: signing.kid,
      created,
      nonce: newNonce(),
    });
    inputs = `${inputs === undefined ? '' : `${inputs}, `}${label}=${signed.signatureInput}`;
    signatures = `${signatures === undefined ? '' : `${signatures}, `}${label}=${signed.signature}`;
    mac = signed.signature.slice(1, -1);
  }
  const fields = new FieldSection()
    .add('Host', added.callee)
    .addKept(head, added.traceparent === undefined ? dropped : droppedInTrace, head.hopByHop)
    .add('X-Service-ID', added.service)
    .add('X-Request-ID', requestId);
  if (added.traceparent !== undefined) fields.add('traceparent', added.traceparent);
  if (body.proof === 'digest') fields.add('Content-Digest', body.digest);
  const trailer = trailerField(head, body);
  if (trailer !== undefined) fields.add('Trailer', trailer);
  if (proof === 'trailer' && length !== undefined) fields.add('X-Service-Content-Length', String(length));
  if (inputs !== undefined) fields.add('Signature-Input', inputs);
  if (signatures !== undefined) fields.add('Signature', signatures);
  const request: RequestToSend = {
    method: head.method,
    target: head.originForm,
    fields,
    framing: isChunked(body) ? 'chunked' : length === undefined ? 'none' : 'length',
    length: length ?? 0,
    upgrade: head.upgrade,
  };
  return { request, label, created, mac };
}
