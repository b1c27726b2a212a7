import { Command } from 'commander';
import { writeSecretFile } from '../keyring/secret-file.ts';
import { takeBackup } from '../rotation/backup.ts';
import { type BackupLock, sealBackup } from '../rotation/sealed-backup.ts';
import { UsageError } from '../terms/exit-codes.ts';
import { passphraseOption, type RegistryOptions, withRegistryOptions, withRotator } from './keys-options.ts';
import { secretLine } from './open-registry.ts';

interface BackupOptions extends RegistryOptions {
  readonly to: string;
  readonly passphraseFile?: string;
  readonly recipient?: string[];
}

/** `countersign keys backup` */
export function keysBackupCommand(): Command {
  return withRegistryOptions(
    new Command('backup').description(
      'Write every root of the fleet to a file (0600), encrypted as an age file. Anyone who decrypts it can impersonate every service.',
    ),
  )
    .requiredOption('--to <file>', 'where')
    .addOption(passphraseOption())
    .option('--recipient <recipient...>', 'encrypt to these age recipients (age1…) instead')
    .action(async (options: BackupOptions) => {
      const lock = await lockOf(options);
      await withRotator(options, '.', async ({ fleet, registry, now }) => {
        const backup = await takeBackup(registry, fleet.services.keys(), now());
        await writeSecretFile(options.to, await seal(backup, lock));
        process.stdout.write(`${options.to}\n`);
      });
    });
}

async function seal(...[backup, lock]: Parameters<typeof sealBackup>): Promise<string> {
  try {
    return await sealBackup(backup, lock);
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(`--recipient: ${error.message}`);
    throw error;
  }
}

async function lockOf({ passphraseFile, recipient }: BackupOptions): Promise<BackupLock> {
  if ((passphraseFile === undefined) === (recipient === undefined))
    throw new UsageError('a backup is never plain: expected one of --passphrase-file and --recipient');
  if (recipient !== undefined) return { recipients: recipient };
  const passphrase = await secretLine(passphraseFile);
  if (passphrase === undefined || passphrase.length < 12)
    throw new UsageError('--passphrase-file: found a short passphrase, expected at least 12 characters');
  return { passphrase };
}
