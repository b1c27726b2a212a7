/**
 * What the key registry needs of the place where it lies: hashes of texts and counters by name, each operation atomic,
 * durable when it resolves, and safe to repeat. Every operation is on one name, so that a Redis Cluster serves it.
 *
 * Every method throws `RegistryError`: registry-unreachable, registry-refused.
 */
export interface RegistryStore {
  /** The fields of a hash; empty when there is none, or when its time is over. */
  readHash(name: string): Promise<Readonly<Record<string, string>>>;
  /** @returns 0 when there is no such counter */
  readCounter(name: string): Promise<number>;
  /** Counts on, past what is held and past `used`. @returns the next number */
  nextNumber(name: string, used: number): Promise<number>;
  /** Puts a root where none of its generation or a newer one is. @returns whether that generation is held now */
  putRoot(name: string, root: StoredRoot): Promise<boolean>;
  /** Deletes a root, if it is still that one. */
  dropRoot(name: string, kid: string): Promise<void>;
  /** Marks every generation up to one as revoked; the mark never sinks. */
  markRevoked(name: string, generation: number, at: string): Promise<void>;
  delete(name: string): Promise<void>;
  setField(name: string, field: string, value: string): Promise<void>;
  removeField(name: string, field: string): Promise<void>;
  /** Takes a lock that ends by itself. @returns who else holds it; undefined when it is ours now */
  acquireLock(name: string, lock: Lock): Promise<string | undefined>;
  /** The holder's only. @returns false when another has taken over */
  renewLock(name: string, token: string, forMs: number): Promise<boolean>;
  releaseLock(name: string, token: string): Promise<void>;
  /** Writes fields beside the lock, the holder's only. @returns false when another has taken over */
  writeAsHolder(name: string, token: string, fields: Readonly<Record<string, string>>): Promise<boolean>;
  removeAsHolder(name: string, token: string, fields: readonly string[]): Promise<boolean>;
}

export interface StoredRoot {
  readonly generation: number;
  /** After which it is gone; 0 for never. */
  readonly secondsToLive: number;
  /** `absent`: only where no root is at all. */
  readonly when: 'absent' | 'newer';
  readonly fields: Readonly<Record<string, string>>;
}

export interface Lock {
  readonly token: string;
  /** Shown to others who wait for it. */
  readonly holder: string;
  readonly forMs: number;
  readonly takeOver: boolean;
}
