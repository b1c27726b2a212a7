import { hash } from 'node:crypto';
import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { KeySourceError } from '../keyring/errors.ts';
import type { Keyring } from '../keyring/keyring.ts';
import { parseKeyringFile, toKeyring } from '../keyring/keyring-file.ts';
import { readSecretFile } from '../keyring/secret-file.ts';

/** Where the folder's watch cannot reach (a symlink to elsewhere, a network file system) a look this often does. */
const lookEveryMs = 5_000;
/** A writer that is not atomic makes several events; the file is read once they have ceased for so long. */
const settleMs = 20;

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
  #watcher: FSWatcher | undefined;
  #looks: NodeJS.Timeout | undefined;
  #settling: NodeJS.Timeout | undefined;
  #listener: KeySourceListener | undefined;
  #seen = '';
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
    const name = basename(this.file);
    this.#watcher = watch(dirname(this.file), { persistent: false }, (_event, changed) => {
      if (changed === null || changed === name) this.#settle();
    });
    this.#watcher.on('error', () => this.#watcher?.close());
    this.#looks = setInterval(() => void this.#look(), lookEveryMs).unref();
    void this.#look();
  }

  close(): void {
    this.#watcher?.close();
    clearInterval(this.#looks);
    clearTimeout(this.#settling);
    this.#listener = undefined;
  }

  async #look(): Promise<void> {
    const seen = await stat(this.file, { bigint: true }).then(
      (s) => `${s.dev}:${s.ino}:${s.ctimeNs}`,
      () => 'absent',
    );
    if (seen === this.#seen) return;
    this.#seen = seen;
    this.#settle();
  }

  #settle(): void {
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => {
      this.reload().catch((error: unknown) => {
        if (error instanceof KeySourceError) this.#listener?.onRefused(error);
        else throw error;
      });
    }, settleMs).unref();
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
