import { Command } from 'commander';
import { readmitHost } from '../rotation/readmit-host.ts';
import { withRegistryLock } from '../rotation/registry-lock.ts';
import { alarming } from './alarming.ts';
import {
  type DeliveryOptions,
  namedHosts,
  type RegistryOptions,
  sidecarAccess,
  withDeliveryOptions,
  withRegistryOptions,
  withRotator,
} from './keys-options.ts';

/** `countersign keys readmit` */
export function keysReadmitCommand(): Command {
  return withDeliveryOptions(
    withRegistryOptions(
      new Command('readmit')
        .description(
          'Deliver the current keys to a host that was down, and end its revocation. Safe to repeat.',
        )
        .argument('<host>', 'as fleet.yaml writes it'),
    ),
  ).action(async (host: string, options: RegistryOptions & DeliveryOptions & { out: string }) => {
    const access = sidecarAccess(options);
    await alarming(options.alarm, () =>
      withRotator(options, options.out, async (rotator, signal) => {
        namedHosts(rotator.fleet, [host]);
        await withRegistryLock(rotator.registry, { takeOver: false, signal, say: rotator.say }, (held) =>
          readmitHost(rotator, access, host, held),
        );
        process.stdout.write(`${host} has its keys\n`);
      }),
    );
  });
}
