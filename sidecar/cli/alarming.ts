import { DeliveryError, RegistryError } from '../keyring/errors.ts';
import { runShellCommand } from '../rotation/shell-command.ts';

/** Runs the alarm command when work fails for a reason that somebody should hear of. */
export async function alarming(command: string | undefined, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    const worthIt = error instanceof DeliveryError || error instanceof RegistryError;
    if (command !== undefined && worthIt) {
      const signal = AbortSignal.timeout(60_000);
      const ran = await runShellCommand(command, [error.message], {
        stdout: 'show',
        timeoutMs: 60_000,
        signal,
      });
      if (ran.code !== 0) process.stderr.write('countersign: the alarm command failed\n');
    }
    throw error;
  }
}
