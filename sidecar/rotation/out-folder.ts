import { randomBytes } from 'node:crypto';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { KeySourceError } from '../keyring/errors.ts';
import { type KeyringFile, parseKeyringFile } from '../keyring/keyring-file.ts';
import { readSecretFile, writeSecretFile } from '../keyring/secret-file.ts';
import { splitKeyId } from '../terms/kid.ts';

/**
 * The folder in which the rotator leaves one keyring a sidecar, `SERVICE@HOST.json`, 0600. A file whose keys
 * stay the same keeps its `issue`, so a rotation that is resumed does not deliver anew what has arrived.
 */
export class OutFolder {
  readonly path: string;

  constructor(path: string) {
    this.path = path;
  }

  fileOf(place: string): string {
    return join(this.path, `${place}.json`);
  }

  /** Writes the keyrings that differ from what lies there, and gives each the issue that it now has. */
  async write(keyrings: ReadonlyMap<string, KeyringFile>): Promise<Map<string, KeyringFile>> {
    await mkdir(this.path, { recursive: true, mode: 0o700 }).catch(this.#unusable);
    const written = new Map<string, KeyringFile>();
    for (const [place, keyring] of keyrings) {
      const before = await this.#read(place);
      if (
        before?.issue !== undefined &&
        keyringText({ ...keyring, issue: before.issue }) === keyringText(before)
      ) {
        written.set(place, before);
        continue;
      }
      const issued = { ...keyring, issue: randomBytes(16).toString('hex') };
      await writeSecretFile(this.fileOf(place), keyringText(issued));
      written.set(place, issued);
    }
    return written;
  }

  /** The highest generation of each caller that any keyring here names: a registry that lost its counters starts above it. */
  async highestGenerations(): Promise<Map<string, number>> {
    const highest = new Map<string, number>();
    const names = await readdir(this.path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return [];
      return this.#unusable(error);
    });
    for (const name of names) {
      if (!name.endsWith('.json') || !name.includes('@')) continue;
      const keyring = await this.#read(name.slice(0, -'.json'.length));
      if (keyring === undefined) continue;
      const kids = [
        ...Object.values(keyring.outbound).map(({ kid }) => kid),
        ...Object.values(keyring.inbound).flatMap((keys) => keys.map(({ kid }) => kid)),
      ];
      for (const kid of kids) {
        const { caller, generation } = splitKeyId(kid);
        highest.set(caller, Math.max(highest.get(caller) ?? 0, generation));
      }
    }
    return highest;
  }

  readonly #unusable = ({ code }: NodeJS.ErrnoException): never => {
    throw new KeySourceError('not-writable', this.path, `found ${code}, expected a folder for keyrings`);
  };

  async #read(place: string): Promise<KeyringFile | undefined> {
    const file = this.fileOf(place);
    try {
      return parseKeyringFile(file, await readSecretFile(file));
    } catch (error) {
      // Whatever lies there instead of a keyring is replaced by one.
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
