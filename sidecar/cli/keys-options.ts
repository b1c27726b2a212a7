import { readFile } from 'node:fs/promises';
import { type Command, Option } from 'commander';
import { ConfigError } from '../../config/load.ts';
import { loadFleet } from '../config/fleet.ts';
import { readSecretFile } from '../keyring/secret-file.ts';
import type { SidecarAccess } from '../rotation/bring-keyrings.ts';
import { OutFolder } from '../rotation/out-folder.ts';
import { KeyRegistry } from '../rotation/registry.ts';
import { connectRegistry, type RegistryAccess } from '../rotation/registry-connection.ts';
import { parseRegistryUrl, type RegistryAddress } from '../rotation/registry-url.ts';
import type { Rotator } from '../rotation/rotator.ts';

import { AnsweredNo, UsageError } from '../terms/exit-codes.ts';

/** Options of every `countersign keys` command. */
export interface RegistryOptions {
  redis: string;
  redisUser?: string;
  redisPasswordFile?: string;
  redisCa?: string;
  redisCert?: string;
  redisKey?: string;
  sentinelUser?: string;
  sentinelPasswordFile?: string;
  fleet: string;
}

/** Options of the commands that bring keyrings to sidecars. */
export interface DeliveryOptions {
  deliver: string;
  from?: string[];
  status?: string;
  alarm?: string;
  wait: number;
}

export function withRegistryOptions(command: Command): Command {
  return command
    .requiredOption(
      '--redis <url>',
      'the key registry: redis://HOST:PORT, rediss://… (TLS), redis+sentinel://HOST:PORT,HOST:PORT/MASTER, redis+cluster://HOST:PORT,HOST:PORT',
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
    'folder for the keyrings, one SERVICE@HOST.json a sidecar, 0600',
  ).makeOptionMandatory();
}

export function adminUrlOption(): Option {
  return new Option(
    '--from <url>',
    "a sidecar's admin listener, such as http://127.0.0.1:15000 (repeatable)",
  ).argParser((value: string, before: string[] | undefined) => {
    if (!/^https?:\/\//i.test(value) || !URL.canParse(value))
      throw new UsageError(`--from: found ${value}, expected http://HOST:PORT of an admin listener`);
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

/** @throws {UsageError} when there is no way to hear of what a sidecar has loaded */
export function sidecarAccess(options: DeliveryOptions): SidecarAccess {
  if (options.from === undefined && options.status === undefined)
    throw new UsageError(
      'found neither --from nor --status, expected one: only what a sidecar has loaded counts as delivered',
    );
  return {
    deliverCommand: options.deliver,
    ...(options.status !== undefined && { statusCommand: options.status }),
    adminUrls: options.from ?? [],
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
  const address = parseAddress(options.redis);
  const fleet = await loadFleet(options.fleet);
  const connection = await connectRegistry(await registryAccess(options, address));
  const interrupt = new AbortController();
  const onSignal = () => interrupt.abort(new AnsweredNo('interrupted; run the same command again to go on'));
  process.once('SIGINT', onSignal).once('SIGTERM', onSignal);
  try {
    const rotator: Rotator = {
      fleet,
      registry: new KeyRegistry(connection.client),
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
    connection.close();
  }
}

function parseAddress(url: string): RegistryAddress {
  try {
    return parseRegistryUrl(url);
  } catch (error) {
    throw new UsageError(`--redis: ${(error as Error).message}`);
  }
}

async function registryAccess(options: RegistryOptions, address: RegistryAddress): Promise<RegistryAccess> {
  const tlsFiles = [options.redisCa, options.redisCert, options.redisKey];
  if (!address.tls && tlsFiles.some((file) => file !== undefined))
    throw new UsageError(
      '--redis: found a URL without TLS beside certificates for it, expected rediss://…, rediss+sentinel://… or rediss+cluster://…',
    );
  if ((options.redisCert === undefined) !== (options.redisKey === undefined))
    throw new UsageError('--redis-cert and --redis-key belong together: found one, expected both or none');
  const password = await secretLine(options.redisPasswordFile);
  const sentinelPassword = await secretLine(options.sentinelPasswordFile);
  const ca = await text(options.redisCa);
  const cert = await text(options.redisCert);
  const key = options.redisKey === undefined ? undefined : await readSecretFile(options.redisKey);
  return {
    address,
    ...(options.redisUser !== undefined && { username: options.redisUser }),
    ...(password !== undefined && { password }),
    ...(options.sentinelUser !== undefined && { sentinelUsername: options.sentinelUser }),
    ...(sentinelPassword !== undefined && { sentinelPassword }),
    tls: {
      ...(ca !== undefined && { ca }),
      ...(cert !== undefined && { cert }),
      ...(key !== undefined && { key }),
    },
  };
}

async function secretLine(file: string | undefined): Promise<string | undefined> {
  return file === undefined ? undefined : (await readSecretFile(file)).replace(/\r?\n$/, '');
}

async function text(file: string | undefined): Promise<string | undefined> {
  if (file === undefined) return undefined;
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    const found = String((cause as NodeJS.ErrnoException).code);
    throw new ConfigError([{ file, line: 0, column: 0, path: '', found, expected: 'a readable PEM file' }], {
      cause,
    });
  }
}
