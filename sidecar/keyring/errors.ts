/** Why a keyring, or another file with secrets, is not taken. */
export type KeySourceErrorCode =
  | 'keyring-unreadable'
  | 'keyring-not-private'
  | 'keyring-malformed'
  | 'keyring-of-another'
  /** A file with secrets cannot be written where it should lie. */
  | 'not-writable';

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

/** Why the key registry does not do what it is asked. */
export type RegistryErrorCode =
  | 'registry-unreachable'
  | 'registry-refused'
  | 'registry-malformed'
  /** Another rotator works on it. */
  | 'registry-locked'
  /** Another rotator has taken over. */
  | 'registry-lock-lost';

/** The key registry failed. There is no `cause`: ioredis keeps the arguments of a command, keys included, in its errors. */
export class RegistryError extends Error {
  readonly code: RegistryErrorCode;
  constructor(code: RegistryErrorCode, detail: string) {
    super(detail);
    this.name = 'RegistryError';
    this.code = code;
  }
}

/** Keyrings did not get where they should; `places` says where. */
export class DeliveryError extends Error {
  readonly code = 'not-delivered';
  readonly places: readonly string[];
  constructor(message: string, places: readonly string[]) {
    super(message);
    this.name = 'DeliveryError';
    this.places = places;
  }
}
