import type { BodyGuard } from '../exchange/guarded-body.ts';
import type { FieldSection } from '../http1/field-section.ts';
import { ownTrailers, requestTrailers, type Trailers } from '../http1/trailer-fields.ts';
import { DigestHasher } from '../signature/content-digest.ts';
import { signTrailer } from '../signature/sign.ts';
import { trailerLabel } from '../signature/tags.ts';
import type { SignedHead, SigningKey } from './compose.ts';

/** Hashes a body while it passes, and signs the digest behind it: constant memory, whatever its length. */
export class SignedTrailer implements BodyGuard {
  readonly #hasher = new DigestHasher();
  readonly #signing: { readonly head: SignedHead; readonly key: SigningKey } | undefined;

  /** @param signing what the head was signed with; undefined when it was not */
  constructor(signing: { readonly head: SignedHead; readonly key: SigningKey } | undefined) {
    this.#signing = signing;
  }

  update(piece: Buffer): void {
    this.#hasher.update(piece);
  }

  finish(trailers: Trailers | undefined): FieldSection {
    const digest = this.#hasher.contentDigest();
    const fields = requestTrailers(trailers).add('Content-Digest', digest);
    const signing = this.#signing;
    if (signing === undefined) return fields;
    const { head, key } = signing;
    const params = { kid: key.kid, created: head.created, label: head.label };
    const { signatureInput, signature } = signTrailer(
      digest,
      head.mac,
      key.key,
      params,
      ownTrailers(trailers),
    );
    return fields
      .add('Signature', `${trailerLabel}=${signature}`)
      .add('Signature-Input', `${trailerLabel}=${signatureInput}`);
  }
}
