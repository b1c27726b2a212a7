import type { BodyGuard } from '../exchange/guarded-body.ts';
import type { FieldSection } from '../http1/field-section.ts';
import type { KeptRequestHead } from '../http1/request-head.ts';
import { requestTrailers, type Trailers } from '../http1/trailer-fields.ts';
import { DigestCheck } from '../signature/content-digest.ts';
import { type Proof, verifyTrailer } from '../signature/verify.ts';
import type { Refusal } from '../terms/refusal.ts';
import type { Denial } from '../terms/verdict.ts';
import { refuseIdentity } from './trailers.ts';

/** A signed body that is hashed while it passes; its end is let through once the digest is proven. */
export class StreamedBody implements BodyGuard {
  readonly #head: KeptRequestHead;
  readonly #proof: Extract<Proof, { proven: true }>;
  readonly #onDenied: (denial: Denial) => Refusal | undefined;
  readonly #check: DigestCheck;
  readonly #length: number | undefined;
  #received = 0;

  /**
   * @param head a copy of the request's head
   * @param length bytes that the body must have, when they were signed
   * @param onDenied decides what a body that was not signed so means: a refusal, or undefined to let it through
   */
  constructor(
    head: KeptRequestHead,
    proof: Extract<Proof, { proven: true }>,
    length: number | undefined,
    onDenied: (denial: Denial) => Refusal | undefined,
  ) {
    this.#head = head;
    this.#proof = proof;
    this.#length = length;
    this.#onDenied = onDenied;
    this.#check = new DigestCheck(proof.body.by === 'digest' ? proof.body.digest : undefined);
  }

  update(piece: Buffer): void {
    this.#received += piece.length;
    this.#check.update(piece);
  }

  finish(trailers: Trailers | undefined): FieldSection | Refusal | undefined {
    const isInTrailer = this.#proof.body.by === 'trailer';
    const refusal = refuseIdentity(trailers, isInTrailer) ?? this.#denied(trailers);
    // Behind a digest in the head nothing covers the trailer section.
    return refusal ?? (isInTrailer ? requestTrailers(trailers) : undefined);
  }

  #denied(trailers: Trailers | undefined): Refusal | undefined {
    this.#head.trailers = trailers;
    if (this.#length !== undefined && this.#received !== this.#length) {
      return this.#onDenied({
        reason: 'digest-mismatch',
        detail: `The body has ${this.#received} bytes; X-Service-Content-Length, which was signed, says ${this.#length}.`,
      });
    }
    if (this.#proof.body.by !== 'trailer') {
      const denial = this.#check.verdict();
      return denial === undefined ? undefined : this.#onDenied(denial);
    }
    const denial =
      verifyTrailer(this.#proof, this.#head) ?? this.#check.verdict(trailers?.get('content-digest') ?? '');
    return denial === undefined ? undefined : this.#onDenied(denial);
  }
}
