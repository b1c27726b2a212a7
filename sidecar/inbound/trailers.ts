import type { BodyGuard } from '../exchange/guarded-body.ts';
import type { FieldSection } from '../http1/field-section.ts';
import type { RequestHead } from '../http1/request-head.ts';
import { requestTrailers, type Trailers } from '../http1/trailer-fields.ts';
import { streamingTrailers } from '../signature/coverage-rules.ts';
import { fieldId, foldedName, isIdentityName } from '../terms/field-names.ts';
import type { Refusal } from '../terms/refusal.ts';

const ofStreamingForm = new Set<string>(streamingTrailers);

/** Fields that say who calls or what was signed: no trailer may bring them in behind the check of the head. */
const signatureFields = new Set(['signature', 'signature-input', 'content-digest']);
const isIdentity = (folded: string) => signatureFields.has(folded) || isIdentityName(folded);

/**
 * The refusal when a trailer section says who calls or what was signed.
 *
 * @param streaming whether the trailers of the streaming form may stand there
 */
export function refuseIdentity(trailers: Trailers | undefined, streaming: boolean): Refusal | undefined {
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

  finish(trailers: Trailers | undefined): FieldSection | Refusal | undefined {
    return refuseIdentity(trailers, this.#announced) ?? requestTrailers(trailers);
  }
}
