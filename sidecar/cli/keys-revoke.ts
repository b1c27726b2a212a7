import { Command } from 'commander';
import { withRegistryLock } from '../rotation/registry-lock.ts';
import { revokeKeys } from '../rotation/revoke-keys.ts';
import { alarming } from './alarming.ts';
import {
  type DeliveryOptions,
  namedServices,
  type RegistryOptions,
  sidecarAccess,
  withDeliveryOptions,
  withRegistryOptions,
  withRotator,
} from './keys-options.ts';

/** `countersign keys revoke` */
export function keysRevokeCommand(): Command {
  return withDeliveryOptions(
    withRegistryOptions(
      new Command('revoke')
        .description(
          'Revoke every key of services at once, at all sidecars: no one can call as them or call them. Interrupts a rotation.',
        )
        .argument('<services...>', 'whose keys'),
    ),
  ).action(async (services: string[], options: RegistryOptions & DeliveryOptions & { out: string }) => {
    const access = sidecarAccess(options);
    await alarming(options.alarm, () =>
      withRotator(options, options.out, async (rotator, signal) => {
        const named = namedServices(rotator.fleet, services);
        await withRegistryLock(rotator.registry, { takeOver: true, signal, say: rotator.say }, (held) =>
          revokeKeys(rotator, access, named, held),
        );
        process.stdout.write(`revoked ${named.join(', ')}\n`);
      }),
    );
  });
}
