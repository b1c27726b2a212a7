import type { Trailers } from '../exchange/ends.ts';
import type { BodyGuard } from '../exchange/guarded-body.ts';
import { FieldSection } from '../http1/field-section.ts';
import type { RequestHead } from '../http1/request-head.ts';
import { streamingTrailers } from '../signature/coverage-rules.ts';
import { fieldId, fieldNames, foldedName, isIdentityName } from '../terms/field-names.ts';
import type { Refusal } from '../terms/refusal.ts';

const known = new Set<string>(fieldNames);
const ofStreamingForm = new Set<string>(streamingTrailers);

/** Fields that say who calls or what was signed: no trailer may bring them in behind the check of the head. */
const signatureFields = new Set(['signature', 'signature-input', 'content-digest']);
const isIdentity = (folded: string) => signatureFields.has(folded) || isIdentityName(folded);

/**
 * The refusal when a trailer section says who calls or what was signed.
 *
 * @param streaming whether the trailers of the streaming form may stand there
 */
export function refuseIdentity(trailers: Trailers, streaming: boolean): Refusal | undefined {
  if (trailers === undefined) return undefined;
  for (const name of trailers.keys()) {
    if (!isIdentity(foldedName(name)) || (streaming && ofStreamingForm.has(name))) continue;
    return {
      reason: 'malformed-request',
      detail: `The trailer section holds ${name}, which belongs in the head.`,
    };
  }
  return undefined;
}

/**
 * The body of a call that nobody signed as a stream: it passes as it comes, and of its trailer section what an app
 * could mistake for something that was checked is refused or left out.
 */
export class TrailerFilter implements BodyGuard {
  readonly #announced: boolean;

  constructor(head: RequestHead) {
    this.#announced = head.known(fieldId.trailer)?.toLowerCase().includes('signature-input') ?? false;
  }

  update(): void {}

  finish(trailers: Trailers): FieldSection | Refusal | undefined {
    if (trailers === undefined) return undefined;
    const refusal = refuseIdentity(trailers, this.#announced);
    if (refusal !== undefined) return refusal;
    const kept = new FieldSection();
    for (const [name, value] of trailers) {
      const folded = foldedName(name);
      if (!known.has(folded) && !isIdentity(folded)) kept.add(name, value);
    }
    return kept;
  }
}
