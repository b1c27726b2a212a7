import { Cluster, Redis, type RedisOptions } from 'ioredis';
import type { RedisConfig } from '../config/core-config.ts';
import type { RedisSecrets } from '../config/redis-secrets.ts';

/** One connection (of a cluster: one to each node). */
export type RedisClient = Redis | Cluster;

/** Grows to a second, so that a server that is back is found within about that. */
const reconnectMs = (attempt: number) => Math.min(50 * 2 ** Math.min(attempt, 6), 1000) + Math.random() * 100;

/**
 * Opens one connection. It reconnects by itself for as long as it is not closed; commands given while it is down
 * fail at once instead of queueing, and none is sent twice.
 */
export function connect(
  config: RedisConfig,
  secrets: RedisSecrets,
  database: number,
  commandMs: number,
): RedisClient {
  const { url } = config;
  const tls = url.tls
    ? { tls: { rejectUnauthorized: true, ...(secrets.ca === undefined ? {} : { ca: secrets.ca }) } }
    : {};
  const common = {
    ...tls,
    ...(config.username === undefined ? {} : { username: config.username }),
    ...(secrets.password === undefined ? {} : { password: secrets.password }),
    db: database,
    connectionName: 'countersign-core',
    connectTimeout: Math.max(1000, commandMs),
    // A server that hangs keeps its sockets open: without a byte for this long they are given up.
    socketTimeout: Math.max(1000, 4 * commandMs),
    // INFO is more than an ACL user needs; a server that is still loading says so to any command.
    enableReadyCheck: false,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // A primary that has become a replica refuses writes: then the new primary has to be found.
    reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
  } satisfies RedisOptions;
  if (url.kind === 'cluster') {
    return new Cluster([...url.nodes], {
      enableOfflineQueue: false,
      clusterRetryStrategy: reconnectMs,
      slotsRefreshTimeout: Math.max(1000, commandMs),
      slotsRefreshInterval: 5000,
      maxRedirections: 4,
      retryDelayOnFailover: 50,
      retryDelayOnClusterDown: 50,
      redisOptions: common,
    });
  }
  const single = { ...common, enableOfflineQueue: false, retryStrategy: reconnectMs } satisfies RedisOptions;
  if (url.kind === 'standalone') return new Redis({ ...single, ...url.nodes[0] });
  return new Redis({
    ...single,
    sentinels: [...url.nodes],
    name: url.master,
    sentinelRetryStrategy: reconnectMs,
    failoverDetector: true,
    enableTLSForSentinelMode: url.tls,
    ...(url.tls ? { sentinelTLS: tls.tls } : {}),
    ...(secrets.sentinelPassword === undefined ? {} : { sentinelPassword: secrets.sentinelPassword }),
  });
}
