/** The tag (RFC 9421 §2.3) of the signature of a request's head. */
export const headTag = 'countersign';

/** The tag of the signature in the trailer section of the streaming form. */
export const trailerTag = 'countersign-trailer';

/** The labels that our own side uses when nobody else does. */
export const headLabel = 'svc';
export const trailerLabel = 'svc-trailer';

/** The one algorithm there is (RFC 9421 §3.3.3); which key it takes is the keyring's business. */
export const algorithm = 'hmac-sha256';

/** Characters that a nonce may have. */
export const nonceLength = { least: 16, most: 128 } as const;

/** Seconds by which `created` may differ from the verifier's clock, either way. */
export const windowSeconds = 300;
