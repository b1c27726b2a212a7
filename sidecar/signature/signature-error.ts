/** Why a signature can be neither made nor checked. */
export type SignatureErrorCode =
  /** The covered components or parameters are not ones that RFC 9421 defines for a request. */
  | 'malformed-signature'
  /** A covered component has no value, or no unambiguous one, in this message. */
  | 'component-missing';

export class SignatureError extends Error {
  readonly code: SignatureErrorCode;

  constructor(code: SignatureErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
