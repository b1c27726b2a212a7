import { Command } from 'commander';
import { generationsInUse } from '../rotation/generations-in-use.ts';
import { initKeys, unfitToReinstate } from '../rotation/init-keys.ts';
import { withRegistryLock } from '../rotation/registry-lock.ts';
import { AnsweredNo } from '../terms/exit-codes.ts';
import {
  adminUrlOption,
  namedServices,
  outOption,
  type RegistryOptions,
  type StatusOptions,
  statusAccess,
  statusCommandOption,
  withRegistryOptions,
  withRotator,
} from './keys-options.ts';

/** `countersign keys init` */
export function keysInitCommand(): Command {
  return withRegistryOptions(
    new Command('init').description(
      'Make a root key for every service that has none, and write the keyrings. Safe to repeat: never replaces a root key.',
    ),
  )
    .addOption(outOption())
    .option('--reinstate <service...>', 'give these revoked services a key again')
    .addOption(adminUrlOption())
    .addOption(statusCommandOption())
    .action(async (options: RegistryOptions & StatusOptions & { out: string; reinstate?: string[] }) => {
      await withRotator(options, options.out, async (rotator, signal) => {
        const reinstate = new Set(namedServices(rotator.fleet, options.reinstate ?? []));
        await withRegistryLock(rotator.registry, { takeOver: false, signal, say: rotator.say }, async () => {
          const why = unfitToReinstate(await rotator.registry.read(rotator.fleet.services.keys()), reinstate);
          if (why !== undefined) throw new AnsweredNo(why);
          const used = await generationsInUse(rotator, statusAccess(options), signal);
          const made = await initKeys(rotator, used, reinstate);
          const what = made.length > 0 ? `made keys for ${made.join(', ')}` : 'every service has its key';
          process.stdout.write(`${what}; keyrings in ${options.out}\n`);
        });
      });
    });
}
