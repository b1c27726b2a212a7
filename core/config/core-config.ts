import { dirname, resolve } from 'node:path';
import * as z from 'zod';
import { check, readYaml } from '../../config/load.ts';
import { duration, listenAddress, path, serviceName, size, socketAddress } from '../../config/units.ts';
import { coreTelemetrySchema } from '../../signals/config.ts';
import { parsePostgresUrl } from './postgres-url.ts';
import { parseRedisUrl } from './redis-url.ts';

/** A text that `parse` understands, or throws a RangeError that says what it expects. */
function url<Parsed>(error: string, parse: (text: string) => Parsed) {
  return z.string({ error }).transform((text, context): Parsed => {
    try {
      return parse(text);
    } catch (problem) {
      context.issues.push({ code: 'custom', input: text, message: (problem as Error).message });
      return z.NEVER;
    }
  });
}

const redis = z.strictObject({
  url: url('a Redis URL such as redis://127.0.0.1:6379', parseRedisUrl)
    .meta({ kind: 'URL' })
    .describe(
      'A server, a Sentinel or a Cluster: redis://, rediss://, redis+sentinel:// or redis+cluster://.',
    ),
  username: z.string().min(1).optional().describe('The ACL user; default: the default user.'),
  password_file: path.optional().describe('File with the password.'),
  sentinel_password_file: path.optional().describe('File with the password of the Sentinels.'),
  ca_file: path
    .optional()
    .describe("PEM file of the authority that signed the server's certificate; only for the rediss schemes."),
  databases: z
    .strictObject({
      chat: z
        .int({ error: 'a database number from 0' })
        .min(0)
        .max(16_383)
        .default(0)
        .describe('The database with sessions.'),
    })
    .prefault({})
    .describe('Numbers of databases.'),
  pool: z.int().min(1).max(32).default(2).describe('Connections for commands.'),
});

const postgres = z.strictObject({
  url: url('a URL such as postgres://countersign@127.0.0.1:5432/countersign', parsePostgresUrl)
    .meta({ kind: 'URL' })
    .describe('postgres://USER@HOST:PORT/DATABASE.'),
  password_file: path.optional().describe('File with the password.'),
  ca_file: path
    .optional()
    .describe(
      "PEM file of the authority that signed the server's certificate; without it the connection is not encrypted.",
    ),
  pool: z
    .int({ error: 'a number of connections, 1 to 200' })
    .min(1)
    .max(200)
    .default(10)
    .describe('Most connections of this core service for turns; slow reads have two more.'),
});

const timeouts = z.strictObject({
  redis: duration.default(250).describe('One Redis command.'),
  database: duration
    .default(5_000)
    .describe('One call of the database: what it may wait for a lock or a connection, and take.'),
  slow_read: duration.default(10_000).describe('A search, a listing or a page of an export.'),
  connect: duration.default(2_000).describe('Until the outbound listener has accepted the connection.'),
  response: duration.default(120_000).describe("Until the head of the model's answer has come."),
  idle: duration.default(30_000).describe("Between two pieces of the model's answer."),
  turn: duration.default(600_000).describe('A whole turn, from the first byte of the request.'),
  hang_up: duration
    .default(10_000)
    .describe('How long a turn of a session goes on after its client has hung up.'),
  drain: duration.default(10_000).describe('What running turns get at SIGTERM before they are interrupted.'),
});

const count = z.int({ error: 'a whole number from 1' }).min(1);
const limitsOfCaller = {
  requests_per_minute: count.optional().describe('Requests per minute.'),
  tokens_per_minute: count.optional().describe('Tokens of prompts and answers per minute.'),
  parallel_turns: count.optional().describe('Chat requests that are answered at a time.'),
  stored_bytes: size.optional().describe('Size of all files of the caller that are not deleted.'),
};

const limits = z.strictObject({
  ...limitsOfCaller,
  callers: z
    .record(serviceName, z.strictObject(limitsOfCaller))
    .default({})
    .describe('Other limits for some calling services.'),
});

/** Which web pages may call the core from a browser. */
const cors = z.strictObject({
  origins: z
    .array(
      z.string().regex(/^(\*|https?:\/\/[^/\s]+)$/, { error: 'an origin such as https://app.example, or *' }),
      { error: 'a list of origins' },
    )
    .min(1)
    .describe('`*`, or origins such as https://app.example.'),
  max_age: duration
    .default(600_000)
    .describe('How long a browser may remember the answer to its preflight request.'),
});

/** core.yaml: the core service. Sizes come out in bytes, durations in milliseconds. */
export const coreConfigSchema = z
  .strictObject({
    listen: listenAddress.describe('Where the core serves: loopback, behind its sidecar.'),
    redis: redis.describe('Where the newest messages of each session are kept.'),
    sqlite: path.optional().describe('The embedded database; without it `postgres` says where one is.'),
    postgres: postgres.optional().describe('A PostgreSQL server, which several cores can share.'),
    files: path
      .optional()
      .describe(
        'Folder of the contents of files. On PostgreSQL it may be left out: the database keeps them then.',
      ),
    unowned_readers: z
      .array(serviceName)
      .max(100)
      .default([])
      .describe('Callers that may read, and claim, sessions and files that belong to nobody.'),
    upload_limit: size.default(50 * 1024 * 1024).describe('The largest upload, and the largest request.'),
    outbound: socketAddress.describe('The outbound listener of its sidecar: models are called through it.'),
    models: z
      .strictObject({
        file: path.describe('llm_models.yaml.'),
        service: serviceName.default('ai-stack').describe('The service that runs the models.'),
      })
      .describe('The models.'),
    limits: limits
      .prefault({})
      .describe(
        'What each calling service may use; rates and turns are counted in each core service. More is a 429.',
      ),
    cors: cors.optional().describe('Which web pages may call the core.'),
    timeouts: timeouts.prefault({}).describe('How long the core waits.'),
    telemetry: coreTelemetrySchema.describe('What is exported beside /metrics. Default: nothing.'),
  })
  .refine((config) => (config.sqlite === undefined) !== (config.postgres === undefined), {
    path: ['sqlite'],
    error: 'one of sqlite and postgres',
  })
  .refine((config) => config.files !== undefined || config.postgres !== undefined, {
    path: ['files'],
    error: 'a folder, which only postgres can do without',
  })
  .refine((config) => config.redis.url.kind !== 'cluster' || config.redis.databases.chat === 0, {
    path: ['redis', 'databases', 'chat'],
    error: '0, the only database that a Redis Cluster has',
  });

export type CoreConfig = z.output<typeof coreConfigSchema>;
export type RedisConfig = CoreConfig['redis'];
export type PostgresConfig = NonNullable<CoreConfig['postgres']>;
export type CoreTimeouts = CoreConfig['timeouts'];

/**
 * Reads core.yaml; the paths in it come out absolute, relative ones being relative to the file itself.
 *
 * @throws {import('../../config/load.ts').ConfigError}
 */
export async function loadCoreConfig(file: string): Promise<CoreConfig> {
  const config = check(await readYaml(file), coreConfigSchema);
  const from = (relative: string) => resolve(dirname(file), relative);
  const { password_file, sentinel_password_file, ca_file } = config.redis;
  const { sqlite, postgres, files } = config;
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
    ...(sqlite === undefined ? {} : { sqlite: from(sqlite) }),
    ...(postgres === undefined
      ? {}
      : {
          postgres: {
            ...postgres,
            ...(postgres.password_file === undefined ? {} : { password_file: from(postgres.password_file) }),
            ...(postgres.ca_file === undefined ? {} : { ca_file: from(postgres.ca_file) }),
          },
        }),
    ...(files === undefined ? {} : { files: from(files) }),
    models: { ...config.models, file: from(config.models.file) },
  };
}
