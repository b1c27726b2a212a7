import { type Command, Option } from 'commander';
import { type Fleet, loadFleet } from '../config/fleet.ts';
import { isAdminAddress } from '../fleet-reader/admin-page.ts';
import type { SidecarAccess } from '../rotation/bring-keyrings.ts';
import { OutFolder } from '../rotation/out-folder.ts';
import { KeyRegistry } from '../rotation/registry.ts';
import type { Rotator } from '../rotation/rotator.ts';
import type { StatusAccess } from '../rotation/status-reader.ts';
import { AnsweredNo, UsageError } from '../terms/exit-codes.ts';
import { openRegistry, type RegistryOptions } from './open-registry.ts';

export type { RegistryOptions };

/** Options of the commands that ask sidecars what they have loaded. */
export interface StatusOptions {
  from?: string[];
  status?: string;
}

/** Options of the commands that bring keyrings to sidecars. */
export interface DeliveryOptions extends StatusOptions {
  deliver: string;
  alarm?: string;
  wait: number;
}

export function withRegistryOptions(command: Command): Command {
  return command
    .option('--registry <file:path>', 'the key registry in a file (0600), for a fleet without Redis')
    .option(
      '--redis <url>',
      'the key registry in Redis: redis://HOST:PORT, rediss://… (TLS), redis+sentinel://HOST:PORT,HOST:PORT/MASTER, redis+cluster://HOST:PORT,HOST:PORT',
    )
    .option('--redis-user <name>', 'ACL user, such as countersign-rotator')
    .option('--redis-password-file <file>', 'file (0600) with the password')
    .option('--redis-ca <file>', 'certificates (PEM) that the server is checked against')
    .option('--redis-cert <file>', 'certificate (PEM) to show to the server')
    .option('--redis-key <file>', 'private key (PEM, 0600) of that certificate')
    .option('--sentinel-user <name>', 'ACL user of the Sentinels')
    .option('--sentinel-password-file <file>', 'file (0600) with their password')
    .requiredOption('--fleet <file>', 'fleet.yaml');
}

export function outOption(): Option {
  return new Option(
    '--out <dir>',
    'folder for the keyrings, one SERVICE@HOST.json per sidecar, 0600',
  ).makeOptionMandatory();
}

export function passphraseOption(): Option {
  return new Option('--passphrase-file <file>', 'file (0600) with the passphrase of the backup');
}

export function adminUrlOption(): Option {
  return new Option(
    '--from <url>',
    "a sidecar's admin listener, such as http://127.0.0.1:15000 (repeatable)",
  ).argParser((value: string, before: string[] | undefined) => {
    if (!isAdminAddress(value) || !URL.canParse(value))
      throw new UsageError(
        `--from: found ${value}, expected http://HOST:PORT or unix:PATH of an admin listener`,
      );
    return [...(before ?? []), value];
  });
}

export function statusCommandOption(): Option {
  return new Option('--status <cmd>', "prints a sidecar's /status when given HOST and SERVICE");
}

export function withDeliveryOptions(command: Command): Command {
  return command
    .addOption(outOption())
    .requiredOption(
      '--deliver <cmd>',
      'brings a keyring to its host when given HOST and FILE; exit 0: it is there',
    )
    .addOption(statusCommandOption())
    .addOption(adminUrlOption())
    .option('--wait <seconds>', 'how long a sidecar may take to load its keyring', seconds, 60)
    .option('--alarm <cmd>', 'run with one argument, what is wrong, when this does not succeed');
}

function seconds(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text))
    throw new UsageError(`--wait: found ${text}, expected a number of seconds from 1 to 99999`);
  return Number(text);
}

export function statusAccess({ from, status }: StatusOptions): StatusAccess {
  return { adminUrls: from ?? [], ...(status !== undefined && { statusCommand: status }) };
}

/** @throws {UsageError} when there is no way to hear of what a sidecar has loaded */
export function sidecarAccess(options: DeliveryOptions): SidecarAccess {
  if (options.from === undefined && options.status === undefined)
    throw new UsageError(
      'found neither --from nor --status, expected one: only what a sidecar has loaded counts as delivered',
    );
  return {
    ...statusAccess(options),
    deliverCommand: options.deliver,
    loadWithinMs: options.wait * 1000,
  };
}

/**
 * Opens the registry for the length of some work; an interrupt ends the work between two steps.
 *
 * @param outPath folder of the keyrings; for work that writes none, any
 */
export async function withRotator<T>(
  options: RegistryOptions,
  outPath: string,
  work: (rotator: Rotator, signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const fleet = await loadFleet(options.fleet);
  const { store, close } = await openRegistry(options);
  const interrupt = new AbortController();
  const onSignal = () => interrupt.abort(new AnsweredNo('interrupted; run the same command again to go on'));
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  try {
    const rotator: Rotator = {
      fleet,
      registry: new KeyRegistry(store),
      out: new OutFolder(outPath),
      now: Date.now,
      say: (line) => process.stderr.write(`${line}\n`),
    };
    return await work(rotator, interrupt.signal);
  } catch (error) {
    // What an aborted wait or fetch throws wraps the reason.
    throw interrupt.signal.aborted ? interrupt.signal.reason : error;
  } finally {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
    close();
  }
}

/** @throws {UsageError} when one is not in the fleet */
export function namedServices(fleet: Fleet, services: readonly string[]): string[] {
  return known('services', services, [...fleet.services.keys()]);
}

/** @throws {UsageError} when one is not in the fleet */
export function namedHosts(fleet: Fleet, hosts: readonly string[]): string[] {
  return known('hosts', hosts, [
    ...new Set([...fleet.services.values()].flatMap((service) => service.hosts)),
  ]);
}

function known(what: string, named: readonly string[], all: readonly string[]): string[] {
  const unknown = named.filter((name) => !all.includes(name));
  if (unknown.length > 0)
    throw new UsageError(`found ${unknown.join(', ')}, expected ${what} of the fleet: ${all.join(', ')}`);
  return [...new Set(named)];
}
