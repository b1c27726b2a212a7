import { KeySourceError } from '../keyring/errors.ts';
import { parseKeyringFile } from '../keyring/keyring-file.ts';
import { eachAtOnce } from '../terms/each-at-once.ts';
import { placeName, placesOf } from './roots.ts';
import type { Rotator } from './rotator.ts';
import { runShellCommand } from './shell-command.ts';

const collectWithinMs = 60_000;

/**
 * Fetches the keyrings that the folder does not have from their hosts.
 *
 * @param command given HOST and SERVICE; prints that sidecar's keyring.json
 */
export async function collectKeyrings(
  { fleet, out, say }: Rotator,
  command: string,
  signal: AbortSignal,
): Promise<void> {
  await eachAtOnce(placesOf(fleet), async (place) => {
    const name = placeName(place);
    if ((await out.read(name)) !== undefined) return;
    const options = { stdout: 'keep', timeoutMs: collectWithinMs, signal } as const;
    const { code, stdout } = await runShellCommand(command, [place.host, place.service], options);
    try {
      if (code !== 0) throw new KeySourceError('keyring-unreadable', name, `the command ended with ${code}`);
      const keyring = parseKeyringFile(name, stdout);
      if (placeName(keyring) !== name)
        throw new KeySourceError('keyring-of-another', name, `found the keyring of ${placeName(keyring)}`);
      await out.keep(keyring);
    } catch (error) {
      if (!(error instanceof KeySourceError)) throw error;
      say(`no keyring of ${name}: ${error.message}`);
    }
  });
}
