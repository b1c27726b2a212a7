import { dropTable } from '../http1/field-lines.ts';
import type { RequestHead } from '../http1/request-head.ts';
import { requiredComponents } from '../signature/coverage-rules.ts';
import type { PairKey } from '../signature/hmac.ts';
import { freeLabel, withoutOurMembers } from '../signature/members.ts';
import { signRequest } from '../signature/sign.ts';
import { fieldId, requestHopFields, serviceFields } from '../terms/field-names.ts';
import { newNonce } from './nonce.ts';
import { type Added, OutgoingRequest } from './outgoing-request.ts';

/** What ends here on the way to the callee, or is written anew. */
const dropped = dropTable(...requestHopFields, ...serviceFields, 'host', 'content-digest');

/** A key to sign with, and its key id. */
export interface SigningKey {
  readonly kid: string;
  readonly key: PairKey;
}

/** A head to send, and what a trailer signature needs to know of it. */
export interface SignedHead {
  readonly text: string;
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
  const created = Math.floor(nowMs / 1000);
  const label = foreign.signatureInput === undefined ? 'svc' : freeLabel(foreign);
  let inputs = foreign.signatureInput;
  let signatures = foreign.signature;
  let mac = '';
  if (signing !== undefined) {
    const message = new OutgoingRequest(head, added);
    const covered = requiredComponents(message, added.trailer !== undefined);
    const signed = signRequest(message, covered, signing.key, {
      kid: signing.kid,
      created,
      nonce: newNonce(),
    });
    inputs = `${inputs === undefined ? '' : `${inputs}, `}${label}=${signed.signatureInput}`;
    signatures = `${signatures === undefined ? '' : `${signatures}, `}${label}=${signed.signature}`;
    mac = signed.signature.slice(1, -1);
  }
  const text =
    `${head.method} ${head.originForm} HTTP/1.1\r\nHost: ${added.callee}\r\n` +
    head.keptLines(dropped, head.hopByHop) +
    `X-Service-ID: ${added.service}\r\nX-Request-ID: ${requestId}\r\n` +
    (added.digest === undefined ? '' : `Content-Digest: ${added.digest}\r\n`) +
    (added.length === undefined ? '' : `Content-Length: ${added.length}\r\n`) +
    (added.trailer === undefined ? '' : `Transfer-Encoding: chunked\r\nTrailer: ${added.trailer}\r\n`) +
    (added.streamedLength === undefined ? '' : `X-Service-Content-Length: ${added.streamedLength}\r\n`) +
    (inputs === undefined ? '' : `Signature-Input: ${inputs}\r\n`) +
    (signatures === undefined ? '' : `Signature: ${signatures}\r\n`) +
    (head.upgrade ? 'Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n' : '\r\n');
  return { text, label, created, mac };
}
