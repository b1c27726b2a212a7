import type { ConnectionOptions } from 'node:tls';
import type { Cluster, Redis, RedisOptions } from 'ioredis';
import { RegistryError } from '../keyring/errors.ts';
import type { RedisAddress } from './redis-url.ts';

/** How to reach a Redis that holds the registry. */
export interface RedisAccess {
  readonly address: RedisAddress;
  readonly username?: string;
  readonly password?: string;
  readonly sentinelUsername?: string;
  readonly sentinelPassword?: string;
  /** PEM texts. */
  readonly tls: { readonly ca?: string; readonly cert?: string; readonly key?: string };
}

/** The slice of ioredis that the registry uses: commands of one key each, so that a Cluster serves them too. */
export interface RedisClient {
  eval(script: string, keyCount: 1, key: string, ...args: string[]): Promise<unknown>;
  hgetall(key: string): Promise<Record<string, string>>;
  get(key: string): Promise<string | null>;
  del(key: string): Promise<number>;
}

export interface RedisConnection {
  readonly client: RedisClient;
  close(): void;
}

const connectTimeoutMs = 5_000;
const commandTimeoutMs = 20_000;
/** A first connection fails fast; one that was there may come back, after a fail-over for instance. */
const attempts = { first: 2, again: 30 } as const;
const longestPauseMs = 500;

/** @throws {RegistryError} registry-unreachable, registry-refused */
export async function connectRedis(access: RedisAccess): Promise<RedisConnection> {
  const { address } = access;
  // Most commands never need it, and it takes a sixth of their start.
  const ioredis = await import('ioredis');
  let ready = false;
  let lastFault = '';
  const retry = (times: number) =>
    times > (ready ? attempts.again : attempts.first) ? null : Math.min(100 * times, longestPauseMs);
  // Explicit, so that no NODE_TLS_REJECT_UNAUTHORIZED in the environment accepts any certificate.
  const tls: ConnectionOptions | undefined = address.tls
    ? { ...access.tls, rejectUnauthorized: true }
    : undefined;
  const shared = {
    // INFO, HELLO and CLIENT SETINFO are not the rotator's to send under a narrow ACL.
    protocol: 2,
    enableReadyCheck: false,
    disableClientInfo: true,
    connectTimeout: connectTimeoutMs,
    commandTimeout: commandTimeoutMs,
    maxRetriesPerRequest: null,
    lazyConnect: true,
    db: address.db,
    ...((access.username ?? address.username) !== undefined && {
      username: access.username ?? address.username,
    }),
    ...(access.password !== undefined && { password: access.password }),
    ...(tls && { tls }),
  } satisfies RedisOptions;
  const connection = open();
  const note = (error: Error) => {
    if (!vague.has(error.message)) lastFault = error.message;
  };
  connection.on('error', note);
  // Of a Cluster: what the nodes themselves say.
  connection.on('node error', note);
  try {
    await connection.connect();
    ready = true;
  } catch (error) {
    connection.disconnect();
    throw asRegistryError(error, lastFault);
  }
  return { client: guarded(connection, () => lastFault), close: () => connection.disconnect() };

  function open(): Redis | Cluster {
    if (address.kind === 'cluster')
      return new ioredis.Cluster([...address.nodes], {
        lazyConnect: true,
        slotsRefreshTimeout: connectTimeoutMs,
        clusterRetryStrategy: retry,
        // Names stay names, so that certificates can be checked against them.
        dnsLookup: (host, callback) => callback(null, host),
        redisOptions: shared,
      });
    if (address.kind === 'sentinel')
      return new ioredis.Redis({
        ...shared,
        sentinels: [...address.nodes],
        name: address.master as string,
        retryStrategy: retry,
        sentinelRetryStrategy: retry,
        ...(access.sentinelUsername !== undefined && { sentinelUsername: access.sentinelUsername }),
        ...(access.sentinelPassword !== undefined && { sentinelPassword: access.sentinelPassword }),
        ...(tls && { sentinelTLS: tls, enableTLSForSentinelMode: true }),
      });
    return new ioredis.Redis({ ...shared, ...address.nodes[0], retryStrategy: retry });
  }
}

function guarded(connection: Redis | Cluster, lastFault: () => string): RedisClient {
  const ask = async <T>(reply: Promise<T>): Promise<T> => {
    try {
      return await reply;
    } catch (error) {
      throw asRegistryError(error, lastFault());
    }
  };
  return {
    eval: (script, keyCount, key, ...args) => ask(connection.eval(script, keyCount, key, ...args)),
    hgetall: (key) => ask(connection.hgetall(key)),
    get: (key) => ask(connection.get(key)),
    del: (key) => ask(connection.del(key)),
  };
}

/** What ioredis says when the reason is in what it heard before. */
const vague = new Set(['', 'Connection is closed.', 'Failed to refresh slots cache.']);

const refusal = /^(NOPERM|NOAUTH|WRONGPASS|ERR AUTH|ERR invalid password|ERR Client sent AUTH)/;

function asRegistryError(error: unknown, lastFault: string): RegistryError {
  const { message, lastNodeError } = error as Error & { lastNodeError?: Error };
  const told = [message, lastNodeError?.message, lastFault].filter((text) => text !== undefined);
  const said = (told.find((text) => !vague.has(text)) ?? message).slice(0, 300);
  if (refusal.test(said))
    return new RegistryError(
      'registry-refused',
      `the key registry refuses: ${said}; expected an ACL user that may use ~service:key:* (see docs/keys.md)`,
    );
  return new RegistryError('registry-unreachable', `the key registry cannot be used: ${said}`);
}
