import { readFile } from 'node:fs/promises';
import { ConfigError } from '../../config/load.ts';
import { readSecretFile } from '../keyring/secret-file.ts';
import { FileStore } from '../rotation/file-store.ts';
import { connectRedis, type RedisAccess } from '../rotation/redis-connection.ts';
import { RedisStore } from '../rotation/redis-store.ts';
import { parseRedisUrl, type RedisAddress } from '../rotation/redis-url.ts';
import type { RegistryStore } from '../rotation/registry-store.ts';
import { UsageError } from '../terms/exit-codes.ts';

/** Options of every `countersign keys` command. */
export interface RegistryOptions {
  registry?: string;
  redis?: string;
  redisUser?: string;
  redisPasswordFile?: string;
  redisCa?: string;
  redisCert?: string;
  redisKey?: string;
  sentinelUser?: string;
  sentinelPasswordFile?: string;
  fleet: string;
}

export interface OpenRegistry {
  readonly store: RegistryStore;
  close(): void;
}

/**
 * Opens the registry that the options name.
 *
 * @throws {UsageError} unless they name one
 * @throws {RegistryError} registry-unreachable, registry-refused
 */
export async function openRegistry(options: RegistryOptions): Promise<OpenRegistry> {
  const { registry, redis } = options;
  if ((registry === undefined) === (redis === undefined))
    throw new UsageError(
      `found ${registry === undefined ? 'neither --registry nor --redis' : 'both --registry and --redis'}, expected one of them`,
    );
  if (redis !== undefined) {
    const connection = await connectRedis(await redisAccess(options, parseAddress(redis)));
    return { store: new RedisStore(connection.client), close: () => connection.close() };
  }
  const path = /^file:(.+)$/s.exec(registry as string)?.[1];
  if (path === undefined)
    throw new UsageError('--registry: expected file:PATH; a Redis is named with --redis');
  const store = await FileStore.open(path);
  return { store, close: () => store.close() };
}

function parseAddress(url: string): RedisAddress {
  try {
    return parseRedisUrl(url);
  } catch (error) {
    throw new UsageError(`--redis: ${(error as Error).message}`);
  }
}

async function redisAccess(options: RegistryOptions, address: RedisAddress): Promise<RedisAccess> {
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

/** The text of a file with a secret, without the line feed at its end. */
export async function secretLine(file: string | undefined): Promise<string | undefined> {
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
