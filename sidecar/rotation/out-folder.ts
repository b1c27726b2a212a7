import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { KeySourceError } from '../keyring/errors.ts';
import { type KeyringFile, parseKeyringFile } from '../keyring/keyring-file.ts';
import { readSecretFile, writeSecretFile } from '../keyring/secret-file.ts';
import type { KeyringRenderer } from './render.ts';
import { type Place, placeName } from './roots.ts';

/** A sidecar's keyring as it lies in the folder. */
export interface Issued extends Place {
  /** The random name of this very file. */
  readonly issue: string;
  /** Whether a sidecar says that it has loaded it; the commands of an operator that only calls read theirs anew each time. */
  readonly hasSidecar: boolean;
}

/** Found in the text, for to parse a large fleet's keyrings takes minutes. */
const kidInText = /"kid": *"([a-z0-9-]+)\/(\d{1,7})"/g;
const issueLine = /^ {2}"issue": "([0-9a-f]{32})",$/m;

/**
 * The folder in which the rotator leaves one keyring a sidecar, `SERVICE@HOST.json`, 0600. A file whose keys
 * stay the same keeps its `issue`, so a rotation that is resumed does not deliver again what has arrived.
 */
export class OutFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  fileOf(place: string): string {
    return join(this.path, `${place}.json`);
  }

  /**
   * Writes the keyrings that differ from what lies there, one at a time: a large fleet's do not fit into memory.
   *
   * @param again places whose keyring gets a new issue even if its keys stay the same, so that it is delivered again
   * @returns the issue that each now has, by place
   */
  async write(
    renderer: KeyringRenderer,
    again: ReadonlySet<string> = new Set(),
  ): Promise<Map<string, Issued>> {
    await mkdir(this.path, { recursive: true, mode: 0o700 }).catch(this.#unusable);
    const issued = new Map<string, Issued>();
    for (const place of renderer.places) {
      const name = placeName(place);
      const issue = await this.#writeOne(name, renderer.keyringOf(place), again.has(name));
      issued.set(name, { ...place, issue, hasSidecar: renderer.hasSidecar(place) });
    }
    return issued;
  }

  /** Deletes the keyring of a sidecar that is to have none. */
  async forget(place: string): Promise<void> {
    await rm(this.fileOf(place), { force: true });
  }

  /** Keeps a keyring that was collected from its host. */
  async keep(keyring: KeyringFile): Promise<void> {
    await mkdir(this.path, { recursive: true, mode: 0o700 }).catch(this.#unusable);
    await writeSecretFile(this.fileOf(placeName(keyring)), keyringText(keyring));
  }

  /** The keyring of a sidecar; undefined when there is none, or something else. */
  async read(place: string): Promise<KeyringFile | undefined> {
    const text = await this.#text(place);
    try {
      return text === undefined ? undefined : parseKeyringFile(this.fileOf(place), text);
    } catch (error) {
      // What lies there instead of a keyring is replaced by one.
      if (error instanceof KeySourceError) return undefined;
      throw error;
    }
  }

  /** The keyrings that lie here, one at a time. */
  async *keyrings(): AsyncGenerator<KeyringFile> {
    for (const place of await this.#places()) {
      const keyring = await this.read(place);
      if (keyring !== undefined) yield keyring;
    }
  }

  /** The highest generation of each caller that any keyring here names. */
  async highestGenerations(): Promise<Map<string, number>> {
    const highest = new Map<string, number>();
    for (const place of await this.#places())
      for (const [, caller = '', generation] of ((await this.#text(place)) ?? '').matchAll(kidInText))
        highest.set(caller, Math.max(highest.get(caller) ?? 0, Number(generation)));
    return highest;
  }

  async #places(): Promise<string[]> {
    const names = await readdir(this.path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      return this.#unusable(error);
    });
    return names
      .filter((name) => name.endsWith('.json') && name.includes('@'))
      .map((name) => name.slice(0, -'.json'.length));
  }

  async #writeOne(name: string, keyring: KeyringFile, again: boolean): Promise<string> {
    const before = again ? undefined : await this.#text(name);
    const known = before === undefined ? undefined : issueLine.exec(before)?.[1];
    if (known !== undefined && before === keyringText({ ...keyring, issue: known })) return known;
    const issue = randomBytes(16).toString('hex');
    await writeSecretFile(this.fileOf(name), keyringText({ ...keyring, issue }));
    return issue;
  }

  readonly #unusable = ({ code }: NodeJS.ErrnoException): never => {
    throw new KeySourceError('not-writable', this.path, `found ${code}, expected a folder for keyrings`);
  };

  async #text(place: string): Promise<string | undefined> {
    try {
      return await readSecretFile(this.fileOf(place));
    } catch (error) {
      if (error instanceof KeySourceError) return undefined;
      throw error;
    }
  }
}

/** keyring.json as it is written. */
export function keyringText(keyring: KeyringFile): string {
  const { service, host, issue, outbound, inbound } = keyring;
  return `${JSON.stringify({ service, host, issue, outbound, inbound }, undefined, 2)}\n`;
}
