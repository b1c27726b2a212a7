import { Command } from 'commander';
import type { Fleet } from '../config/fleet.ts';
import { withRegistryLock } from '../rotation/registry-lock.ts';
import { type Registry, rootsInForce } from '../rotation/roots.ts';
import { rotateKeys } from '../rotation/rotate-keys.ts';
import type { Rotator } from '../rotation/rotator.ts';
import { AnsweredNo, UsageError } from '../terms/exit-codes.ts';
import { alarming } from './alarming.ts';
import {
  type DeliveryOptions,
  namedHosts,
  namedServices,
  type RegistryOptions,
  sidecarAccess,
  withDeliveryOptions,
  withRegistryOptions,
  withRotator,
} from './keys-options.ts';
import { dueServices } from './keys-status.ts';

interface RotateOptions extends RegistryOptions, DeliveryOptions {
  out: string;
  due?: boolean;
  without?: string[];
  confirm?: string[];
}

/** `countersign keys rotate` */
export function keysRotateCommand(): Command {
  return withDeliveryOptions(
    withRegistryOptions(
      new Command('rotate')
        .description(
          'Replace keys, or resume an interrupted rotation: verifiers first, then signers, each step acknowledged.',
        )
        .argument('[services...]', 'whose keys (default: every service)'),
    ),
  )
    .option('--due', 'only services whose key is 90 days old, or an interrupted rotation')
    .option('--without <host...>', 'leave out hosts that stay down; they are revoked until keys readmit')
    .option('--confirm <host...>', 'the same hosts again, to confirm --without')
    .action(async (services: string[], options: RotateOptions) => {
      if (options.due && services.length > 0)
        throw new UsageError('--due chooses the services itself: found names beside it, expected none');
      const access = sidecarAccess(options);
      await alarming(options.alarm, () =>
        withRotator(options, options.out, async (rotator, signal) => {
          const named = namedServices(rotator.fleet, services);
          const without = confirmedHosts(rotator.fleet, options);
          await withRegistryLock(
            rotator.registry,
            { takeOver: false, signal, say: rotator.say },
            async (held) => {
              const state = await rotator.registry.read(rotator.fleet.services.keys());
              const chosen = options.due ? dueServices(state, Date.now()) : withRoots(state, named);
              if (options.due && chosen.length === 0 && state.rotation === undefined) {
                process.stdout.write('no key is due\n');
                return;
              }
              await revokeHosts(rotator, without, state.rotation?.services ?? chosen);
              await rotateKeys(rotator, access, chosen, held);
              process.stdout.write('rotated\n');
            },
          );
        }),
      );
    });
}

/** @throws {AnsweredNo} when there is nothing to rotate */
function withRoots(state: Registry, named: readonly string[]): string[] {
  const wanted = named.length > 0 ? named : [...state.services.keys()];
  const keyed = wanted.filter((name) => rootsInForce(state.services.get(name) ?? {}).current !== undefined);
  const without = named.filter((name) => !keyed.includes(name));
  if (without.length > 0 || keyed.length === 0)
    throw new AnsweredNo(
      `${without.length > 0 ? without.join(', ') : 'every service'}: no key to rotate; run countersign keys init`,
    );
  return keyed;
}

/** @throws {UsageError} unless every host of --without is confirmed by its name */
function confirmedHosts(fleet: Fleet, { without = [], confirm = [] }: RotateOptions): string[] {
  const hosts = namedHosts(fleet, without);
  if (hosts.length === confirm.length && hosts.every((host) => confirm.includes(host))) return hosts;
  throw new UsageError(
    hosts.length === 0
      ? `found --confirm ${confirm.join(' ')} alone, expected --without beside it`
      : `--without ${hosts.join(' ')}: nothing was changed. These hosts would be revoked: what they sign is refused from five minutes after ` +
          `the rotation on, and they get no keys until countersign keys readmit. Confirm with --confirm ${hosts.join(' ')}`,
  );
}

/** @throws {UsageError} when the rotation leaves keys in force that such a host holds */
async function revokeHosts(
  { fleet, registry, now, say }: Rotator,
  hosts: readonly string[],
  rotating: readonly string[],
): Promise<void> {
  for (const host of hosts) {
    const kept = [...fleet.services.values()].filter(
      (service) => service.hosts.includes(host) && !rotating.includes(service.name),
    );
    if (kept.length > 0)
      throw new UsageError(
        `--without ${host}: found a rotation of ${rotating.join(', ')}, expected one of ${kept.map(({ name }) => name).join(', ')} too, whose keys ${host} holds`,
      );
  }
  for (const host of hosts) {
    await registry.revokeHost(host, now());
    say(`revoked ${host} until it is readmitted`);
  }
}
