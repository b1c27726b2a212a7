import { readFile } from 'node:fs/promises';
import { Command } from 'commander';
import { readSecretFile } from '../keyring/secret-file.ts';
import type { Backup } from '../rotation/backup.ts';
import { collectKeyrings } from '../rotation/collect-keyrings.ts';
import { generationsInUse } from '../rotation/generations-in-use.ts';
import { withRegistryLock } from '../rotation/registry-lock.ts';
import { restoreRegistry } from '../rotation/restore-registry.ts';
import { type BackupKey, openBackup } from '../rotation/sealed-backup.ts';
import { AnsweredNo, UsageError } from '../terms/exit-codes.ts';
import {
  adminUrlOption,
  outOption,
  passphraseOption,
  type RegistryOptions,
  type StatusOptions,
  statusAccess,
  statusCommandOption,
  withRegistryOptions,
  withRotator,
} from './keys-options.ts';
import { secretLine } from './open-registry.ts';

interface RebuildOptions extends RegistryOptions, StatusOptions {
  readonly out: string;
  readonly collect?: string;
}

interface RestoreOptions extends RebuildOptions {
  readonly backup: string;
  readonly passphraseFile?: string;
  readonly identity?: string;
}

/** `countersign keys restore` */
export function keysRestoreCommand(): Command {
  return withRebuildOptions(
    new Command('restore').description(
      'Fill an empty or older registry from a backup. Later rotations are recovered from the keyrings.',
    ),
  )
    .requiredOption('--backup <file>', 'made by countersign keys backup')
    .addOption(passphraseOption())
    .option('--identity <file>', 'file (0600) with the age identity that the backup is encrypted to')
    .action(async (options: RestoreOptions) => {
      const text = await readFile(options.backup, 'utf8').catch((error: NodeJS.ErrnoException) => {
        throw new AnsweredNo(`${options.backup}: found ${error.code}, expected a backup`);
      });
      await restore(options, await openBackup(options.backup, text, await keyOf(options)));
    });
}

/** `countersign keys rebuild` */
export function keysRebuildCommand(): Command {
  return withRebuildOptions(
    new Command('rebuild').description(
      'Rebuild a lost registry without a backup, from the keyrings in use. The next rotation makes new roots; no call is lost.',
    ),
  ).action((options: RebuildOptions) => restore(options, undefined));
}

function withRebuildOptions(command: Command): Command {
  return withRegistryOptions(command)
    .addOption(outOption())
    .addOption(adminUrlOption())
    .addOption(statusCommandOption())
    .option(
      '--collect <cmd>',
      "prints a sidecar's keyring.json when given HOST and SERVICE, for those not in --out",
    );
}

async function restore(options: RebuildOptions, backup: Backup | undefined): Promise<void> {
  await withRotator(options, options.out, async (rotator, signal) => {
    await withRegistryLock(rotator.registry, { takeOver: false, signal, say: rotator.say }, async (held) => {
      if (options.collect !== undefined) await collectKeyrings(rotator, options.collect, held);
      const used = await generationsInUse(rotator, statusAccess(options), held);
      const { known, lost } = await restoreRegistry(rotator, backup, used);
      if (known.length + lost.length === 0)
        throw new AnsweredNo(
          `found no key of the fleet in ${options.out}, expected its keyrings; for a new fleet run countersign keys init`,
        );
      process.stdout.write(
        lost.length === 0
          ? 'every root is there\n'
          : `the roots of ${lost.join(', ')} are lost: run countersign keys rotate, which replaces them\n`,
      );
    });
  });
}

async function keyOf({ passphraseFile, identity }: RestoreOptions): Promise<BackupKey> {
  if ((passphraseFile === undefined) === (identity === undefined))
    throw new UsageError('expected one of --passphrase-file and --identity');
  if (identity === undefined) return { passphrase: (await secretLine(passphraseFile)) ?? '' };
  const lines = (await readSecretFile(identity)).split('\n').map((line) => line.trim());
  return { identities: lines.filter((line) => line !== '' && !line.startsWith('#')) };
}
