import { hash } from 'node:crypto';
import { KeySourceError } from '../keyring/errors.ts';
import type { Keyring } from '../keyring/keyring.ts';
import { parseKeyringFile, toKeyring } from '../keyring/keyring-file.ts';
import { readSecretFile } from '../keyring/secret-file.ts';
import { WatchedFiles } from './watched-files.ts';

export interface KeySourceListener {
  /** A new keyring is in force. */
  onChange(now: Keyring, before: Keyring): void;
  /** The file has changed to something unusable; `current` stays in force. */
  onRefused(error: KeySourceError): void;
}

/** The keyring of this sidecar: read from keyring.json, replaced as a whole whenever the file changes. */
export class KeySource {
  readonly file: string;
  #current: Keyring;
  #digest: string;
  #watched: WatchedFiles | undefined;
  #listener: KeySourceListener | undefined;
  #reloading: Promise<unknown> = Promise.resolve();

  private constructor(file: string, digest: string, current: Keyring) {
    this.file = file;
    this.#digest = digest;
    this.#current = current;
  }

  /**
   * Reads the keyring. Whether it is of the right service and host is for the caller to say.
   *
   * @throws {KeySourceError} unreadable, readable by group or others, malformed
   */
  static async open(file: string): Promise<KeySource> {
    const text = await readSecretFile(file);
    return new KeySource(file, hash('sha256', text), toKeyring(parseKeyringFile(file, text)));
  }

  /** The keyring in force. */
  get current(): Keyring {
    return this.#current;
  }

  /**
   * Reads the file again; a listener of `watch` hears of a change.
   *
   * @returns whether another keyring is in force now
   * @throws {KeySourceError} as `open`, or when the file is of another service or host; `current` stays in force
   */
  reload(): Promise<boolean> {
    const turn = this.#reloading.then(() => this.#read());
    this.#reloading = turn.catch(() => {});
    return turn;
  }

  /** Follows the file from now on, until `close`. */
  watch(listener: KeySourceListener): void {
    this.#listener = listener;
    this.#watched = new WatchedFiles([this.file], () => {
      this.reload().catch((error: unknown) => {
        if (error instanceof KeySourceError) this.#listener?.onRefused(error);
        else throw error;
      });
    });
  }

  close(): void {
    this.#watched?.close();
    this.#listener = undefined;
  }

  async #read(): Promise<boolean> {
    const text = await readSecretFile(this.file);
    const digest = hash('sha256', text);
    if (digest === this.#digest) return false;
    const next = toKeyring(parseKeyringFile(this.file, text));
    const before = this.#current;
    if (next.service !== before.service || next.host !== before.host) {
      throw new KeySourceError(
        'keyring-of-another',
        this.file,
        `found a keyring of ${next.service} on ${next.host}, expected one of ${before.service} on ${before.host}`,
      );
    }
    this.#digest = digest;
    this.#current = next;
    this.#listener?.onChange(next, before);
    return true;
  }
}
