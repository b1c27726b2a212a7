import { Command } from 'commander';
import { keysBackupCommand } from './keys-backup.ts';
import { keysExportCommand } from './keys-export.ts';
import { keysInitCommand } from './keys-init.ts';
import { keysReadmitCommand } from './keys-readmit.ts';
import { keysRebuildCommand, keysRestoreCommand } from './keys-restore.ts';
import { keysRevokeCommand } from './keys-revoke.ts';
import { keysRotateCommand } from './keys-rotate.ts';
import { keysStatusCommand } from './keys-status.ts';

const about = `
Each service has a root key, which only the key registry (Redis, or a file) holds. From the roots come the keyrings: what
one sidecar needs to sign its calls and to check those of its callers, and nothing else.

  countersign keys init   --redis rediss://HOST --redis-user countersign-rotator --redis-password-file F --fleet fleet.yaml --out keyrings
  countersign keys rotate … --out keyrings --deliver ./bring-keyring --status ./ask-status

--deliver and --status are commands of yours, run once a sidecar: \`bring-keyring HOST FILE\` puts FILE in place there,
\`ask-status HOST SERVICE\` prints what http://127.0.0.1:15000/status says there. Sidecars load a new keyring by themselves.`;

/** `countersign keys`: makes, rotates and revokes keys. */
export function keysCommand(): Command {
  const keys = new Command('keys')
    .description('Make, rotate, revoke, back up and restore the keys of a fleet.')
    .addHelpText('after', about);
  // One a line: they come and go one by one.
  const commands = [
    keysInitCommand,
    keysStatusCommand,
    keysRotateCommand,
    keysRevokeCommand,
    keysReadmitCommand,
    keysExportCommand,
    keysBackupCommand,
    keysRestoreCommand,
    keysRebuildCommand,
  ];
  for (const command of commands) keys.addCommand(command());
  return keys;
}
