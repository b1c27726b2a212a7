import type { BodyGuard } from '../exchange/guarded-body.ts';
import { FieldSection } from '../http1/field-section.ts';
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

  /** The app's own trailer fields are not passed on: Trailer lists exactly ours, and these are covered. */
  finish(): FieldSection {
    const digest = this.#hasher.contentDigest();
    const fields = new FieldSection().add('Content-Digest', digest);
    const signing = this.#signing;
    if (signing === undefined) return fields;
    const { head, key } = signing;
    const { signatureInput, signature } = signTrailer(digest, head.mac, key.key, {
      kid: key.kid,
      created: head.created,
      label: head.label,
    });
    return fields
      .add('Signature', `${trailerLabel}=${signature}`)
      .add('Signature-Input', `${trailerLabel}=${signatureInput}`);
  }
}
