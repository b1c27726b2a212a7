import type { BodyGuard } from '../exchange/streamed-request.ts';
import { DigestHasher } from '../signature/content-digest.ts';
import { signTrailer } from '../signature/sign.ts';
import { trailerLabel } from '../signature/tags.ts';
import type { SignedHead, SigningKey } from './compose.ts';

/** Hashes a body while it passes, and signs the digest behind it: constant memory, whatever its length. */
export class SignedTrailer implements BodyGuard {
  readonly #hasher = new DigestHasher();
  readonly #signing: () => { readonly head: SignedHead; readonly key: SigningKey } | undefined;

  /** @param signing what the head was signed with; asked at the end, since the head may be made anew until then */
  constructor(signing: () => { readonly head: SignedHead; readonly key: SigningKey } | undefined) {
    this.#signing = signing;
  }

  update(piece: Buffer): void {
    this.#hasher.update(piece);
  }

  /** The app's own trailer fields are not passed on: Trailer lists exactly ours, and these are covered. */
  finish(): string {
    const digest = this.#hasher.contentDigest();
    const signing = this.#signing();
    if (signing === undefined) return `Content-Digest: ${digest}\r\n`;
    const { head, key } = signing;
    const { signatureInput, signature } = signTrailer(digest, head.mac, key.key, {
      kid: key.kid,
      created: head.created,
      label: head.label,
    });
    return (
      `Content-Digest: ${digest}\r\nSignature: ${trailerLabel}=${signature}\r\n` +
      `Signature-Input: ${trailerLabel}=${signatureInput}\r\n`
    );
  }
}
