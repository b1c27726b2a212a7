import { randomBytes } from 'node:crypto';
import { dirname } from 'node:path';
import { Command } from 'commander';
import { DeliveryError, RegistryError } from '../keyring/errors.ts';
import { writeSecretFile } from '../keyring/secret-file.ts';
import { keyringText } from '../rotation/out-folder.ts';
import { withRegistryLock } from '../rotation/registry-lock.ts';
import { renderKeyrings } from '../rotation/render.ts';
import { placeName, type Registry, rootsInForce } from '../rotation/roots.ts';
import { initKeys, type Rotator, revokeKeys, rotateKeys, unfitToReinstate } from '../rotation/rotator.ts';
import { runShellCommand } from '../rotation/shell-command.ts';
import { AnsweredNo, UsageError } from '../terms/exit-codes.ts';
import {
  type DeliveryOptions,
  outOption,
  type RegistryOptions,
  sidecarAccess,
  withDeliveryOptions,
  withRegistryOptions,
  withRotator,
} from './keys-options.ts';
import { dueServices, keysStatusCommand } from './keys-status.ts';

const about = `
Each service has a root key, which only the key registry (Redis) holds. From the roots come the keyrings: what one
sidecar needs to sign its calls and to check those of its callers, and nothing else.

  countersign keys init   --redis rediss://HOST --redis-user countersign-rotator --redis-password-file F --fleet fleet.yaml --out keyrings
  countersign keys rotate … --out keyrings --deliver ./bring-keyring --status ./ask-status

--deliver and --status are commands of yours, run once a sidecar: \`bring-keyring HOST FILE\` puts FILE in place there,
\`ask-status HOST SERVICE\` prints what http://127.0.0.1:15000/status says there. Sidecars load a new keyring by themselves.`;

/** `countersign keys`: makes, rotates and revokes keys. */
export function keysCommand(): Command {
  const keys = new Command('keys')
    .description('Make, rotate and revoke the keys of a fleet.')
    .addHelpText('after', about);
  for (const command of [
    initCommand(),
    keysStatusCommand(),
    rotateCommand(),
    revokeCommand(),
    exportCommand(),
  ])
    keys.addCommand(command);
  return keys;
}

function initCommand(): Command {
  return withRegistryOptions(
    new Command('init').description(
      'Make a root for every service that has none, and write the keyrings. Safe to repeat: never replaces a root.',
    ),
  )
    .addOption(outOption())
    .option('--reinstate <service...>', 'give these revoked services a key again')
    .action(async (options: RegistryOptions & { out: string; reinstate?: string[] }) => {
      await withRotator(options, options.out, async (rotator, signal) => {
        const reinstate = new Set(inFleet(rotator, options.reinstate ?? []));
        await withRegistryLock(rotator.registry, { takeOver: false, signal, say: rotator.say }, async () => {
          const why = unfitToReinstate(await rotator.registry.read(rotator.fleet.services.keys()), reinstate);
          if (why !== undefined) throw new AnsweredNo(why);
          const made = await initKeys(rotator, reinstate);
          const what = made.length > 0 ? `made keys for ${made.join(', ')}` : 'every service has its key';
          process.stdout.write(`${what}; keyrings in ${options.out}\n`);
        });
      });
    });
}

function rotateCommand(): Command {
  return withDeliveryOptions(
    withRegistryOptions(
      new Command('rotate')
        .description(
          'Replace keys, or go on with a rotation that was cut short: verifiers first, then signers, each step acknowledged.',
        )
        .argument('[services...]', 'whose keys (default: every service)'),
    ),
  )
    .option('--due', 'only services whose key is 90 days old, or a rotation that was cut short')
    .action(
      async (
        services: string[],
        options: RegistryOptions & DeliveryOptions & { out: string; due?: boolean },
      ) => {
        if (options.due && services.length > 0)
          throw new UsageError('--due chooses the services itself: found names beside it, expected none');
        const access = sidecarAccess(options);
        await alarming(options.alarm, () =>
          withRotator(options, options.out, async (rotator, signal) => {
            const named = inFleet(rotator, services);
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
                await rotateKeys(rotator, access, chosen, held);
                process.stdout.write('rotated\n');
              },
            );
          }),
        );
      },
    );
}

function revokeCommand(): Command {
  return withDeliveryOptions(
    withRegistryOptions(
      new Command('revoke')
        .description(
          'End every key of services at once, at all sidecars: nobody can call as them or call them. Interrupts a rotation.',
        )
        .argument('<services...>', 'whose keys'),
    ),
  ).action(async (services: string[], options: RegistryOptions & DeliveryOptions & { out: string }) => {
    const access = sidecarAccess(options);
    await alarming(options.alarm, () =>
      withRotator(options, options.out, async (rotator, signal) => {
        const named = inFleet(rotator, services);
        await withRegistryLock(rotator.registry, { takeOver: true, signal, say: rotator.say }, (held) =>
          revokeKeys(rotator, access, named, held),
        );
        process.stdout.write(`revoked ${named.join(', ')}\n`);
      }),
    );
  });
}

function exportCommand(): Command {
  return withRegistryOptions(
    new Command('export')
      .description('Write the keyring of one sidecar to a file (0600), never to a terminal or a pipe.')
      .argument('<service>')
      .argument('<host>', 'as fleet.yaml writes it'),
  )
    .requiredOption('--to <file>', 'where')
    .action(async (service: string, host: string, options: RegistryOptions & { to: string }) => {
      await withRotator(options, dirname(options.to), async (rotator) => {
        inFleet(rotator, [service]);
        const state = await rotator.registry.read(rotator.fleet.services.keys());
        const keyring = renderKeyrings(rotator.fleet, state, Date.now()).get(placeName({ service, host }));
        if (keyring === undefined)
          throw new UsageError(
            `found host ${host}, expected one of ${rotator.fleet.services.get(service)?.hosts.join(', ')}`,
          );
        if (rootsInForce(state.services.get(service) ?? {}).current === undefined)
          throw new AnsweredNo(`${service} has no key: run countersign keys init`);
        await writeSecretFile(
          options.to,
          keyringText({ ...keyring, issue: randomBytes(16).toString('hex') }),
        );
        process.stdout.write(`${options.to}\n`);
      });
    });
}

function inFleet(rotator: Rotator, services: readonly string[]): string[] {
  const unknown = services.filter((name) => !rotator.fleet.services.has(name));
  if (unknown.length > 0)
    throw new UsageError(
      `found ${unknown.join(', ')}, expected services of the fleet: ${[...rotator.fleet.services.keys()].join(', ')}`,
    );
  return [...new Set(services)];
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

async function alarming(command: string | undefined, work: () => Promise<void>): Promise<void> {
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
