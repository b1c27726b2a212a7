import { dirname, resolve } from 'node:path';
import * as z from 'zod';
import { check, readYaml } from '../../config/load.ts';
import { duration, listenAddress, path, serviceName, size, socketAddress } from '../../config/units.ts';
import { parseRedisUrl } from './redis-url.ts';

const redis = z.strictObject({
  url: z.string({ error: 'a Redis URL such as redis://127.0.0.1:6379' }).transform((text, context) => {
    try {
      return parseRedisUrl(text);
    } catch (error) {
      context.issues.push({ code: 'custom', input: text, message: (error as Error).message });
      return z.NEVER;
    }
  }),
  username: z.string().min(1).optional(),
  password_file: path.optional(),
  sentinel_password_file: path.optional(),
  /** PEM file of the authority that signed the server's certificate; only for the rediss schemes. */
  ca_file: path.optional(),
  databases: z
    .strictObject({ chat: z.int({ error: 'a database number from 0' }).min(0).max(16_383).default(0) })
    .prefault({}),
  pool: z.int().min(1).max(32).default(2),
});

const timeouts = z.strictObject({
  /** One Redis command. */
  redis: duration.default(250),
  /** Until the outbound listener has accepted the connection. */
  connect: duration.default(2_000),
  /** Until the head of the model's answer has come. */
  response: duration.default(120_000),
  /** Between two pieces of the model's answer. */
  idle: duration.default(30_000),
  /** A whole turn, from the first byte of the request. */
  turn: duration.default(600_000),
  /** What running turns get at SIGTERM before they are interrupted. */
  drain: duration.default(30_000),
});

/** Which web pages may call the core from a browser. */
const cors = z.strictObject({
  /** `*`, or origins such as https://app.example. */
  origins: z
    .array(
      z.string().regex(/^(\*|https?:\/\/[^/\s]+)$/, { error: 'an origin such as https://app.example, or *' }),
      { error: 'a list of origins' },
    )
    .min(1),
  /** How long a browser may remember the answer to its preflight request. */
  max_age: duration.default(600_000),
});

/** core.yaml: the core service. Sizes come out in bytes, durations in milliseconds. */
const coreConfigSchema = z
  .strictObject({
    listen: listenAddress,
    redis,
    sqlite: path,
    files: path,
    upload_limit: size.default(50 * 1024 * 1024),
    outbound: socketAddress,
    models: z.strictObject({ file: path, service: serviceName.default('ai-stack') }),
    cors: cors.optional(),
    timeouts: timeouts.prefault({}),
  })
  .refine((config) => config.redis.url.kind !== 'cluster' || config.redis.databases.chat === 0, {
    path: ['redis', 'databases', 'chat'],
    error: '0, the only database that a Redis Cluster has',
  });

export type CoreConfig = z.output<typeof coreConfigSchema>;
export type RedisConfig = CoreConfig['redis'];
export type CoreTimeouts = CoreConfig['timeouts'];

/**
 * Reads core.yaml; the paths in it come out absolute, relative ones being relative to the file itself.
 *
 * @throws {import('../../config/load.ts').ConfigError}
 */
export async function loadCoreConfig(file: string): Promise<CoreConfig> {
  const config = check(await readYaml(file), coreConfigSchema, 'core.yaml');
  const from = (relative: string) => resolve(dirname(file), relative);
  const { password_file, sentinel_password_file, ca_file } = config.redis;
  return {
    ...config,
    redis: {
      ...config.redis,
      ...(password_file === undefined ? {} : { password_file: from(password_file) }),
      ...(sentinel_password_file === undefined
        ? {}
        : { sentinel_password_file: from(sentinel_password_file) }),
      ...(ca_file === undefined ? {} : { ca_file: from(ca_file) }),
    },
    sqlite: from(config.sqlite),
    files: from(config.files),
    models: { ...config.models, file: from(config.models.file) },
  };
}
