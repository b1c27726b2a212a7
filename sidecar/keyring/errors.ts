/** Why a keyring, or another file with secrets, is not taken. */
export type KeySourceErrorCode =
  | 'keyring-unreadable'
  | 'keyring-not-private'
  | 'keyring-malformed'
  | 'keyring-of-another';

/**
 * A keyring that cannot be used. Fatal at start (exit 78); on a reload the keyring before stays in force.
 * The message never quotes what stands in the file, and there is no `cause`: the parser's would quote it.
 */
export class KeySourceError extends Error {
  readonly code: KeySourceErrorCode;
  readonly file: string;
  constructor(code: KeySourceErrorCode, file: string, detail: string) {
    super(`${file}: ${detail}`);
    this.name = 'KeySourceError';
    this.code = code;
    this.file = file;
  }
}
