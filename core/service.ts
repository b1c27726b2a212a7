import { mkdir } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { dirname } from 'node:path';
import type { FastifyBaseLogger } from 'fastify';
import { Registry } from 'prom-client';
import { Archive } from './chat/archive.ts';
import { Chat } from './chat/chat.ts';
import { HotWindow } from './chat/hot-window.ts';
import { Notes } from './chat/notes.ts';
import { Planner } from './chat/planner.ts';
import { SessionQueue } from './chat/session-queue.ts';
import { Sessions } from './chat/sessions.ts';
import type { CoreConfig } from './config/core-config.ts';
import type { LlmModels } from './config/llm-models.ts';
import { Calibration } from './context/calibration.ts';
import { ContextWindow } from './context/context-window.ts';
import { type Database, openDatabase } from './database/database.ts';
import { watchEventLoop } from './event-loop/event-loop.ts';
import { ConversationFiles } from './files/conversation-files.ts';
import { chatRoutes } from './http/chat-routes.ts';
import { useCors } from './http/cors.ts';
import { fileRoutes } from './http/files/routes.ts';
import { type HealthOfPart, healthRoutes } from './http/health.ts';
import { modelRoutes } from './http/model-routes.ts';
import { passthroughRoutes } from './http/passthrough-routes.ts';
import { buildServer } from './http/server.ts';
import { sessionRoutes } from './http/session-routes.ts';
import { tokenRoutes } from './http/token-routes.ts';
import { ModelClient } from './llm/client.ts';
import { ModelFleet } from './llm/model-fleet.ts';
import { ServedModels } from './llm/served-models.ts';
import { ServerTokenizer } from './llm/server-tokenizer.ts';
import { ModelTransport } from './llm/transport.ts';
import { RedisPool } from './redis/redis-pool.ts';
import { TokenSources } from './tokens/token-sources.ts';
import { VocabularyThread } from './tokens/vocabulary-counter.ts';

/** A chat without images has room in it, however small `upload_limit` is. */
const leastBodyLimitBytes = 4 * 1024 * 1024;

/** A core service that runs. */
export interface CoreService {
  readonly address: AddressInfo;
  /** Takes nothing new, lets running turns end (those that take longer than `timeouts.drain` are interrupted), closes all. */
  close(): Promise<void>;
}

/**
 * Builds the whole service and starts to listen. Redis may be down; the database has to open.
 *
 * @throws {import('./database/errors.ts').DatabaseError | import('../config/load.ts').ConfigError}
 */
export async function startCore(
  config: CoreConfig,
  models: LlmModels,
  log: FastifyBaseLogger,
  version: string,
): Promise<CoreService> {
  const registry = new Registry();
  const { timeouts } = config;
  await mkdir(dirname(config.sqlite), { recursive: true, mode: 0o700 });
  const database = await openDatabase({ file: config.sqlite });
  const { problem } = database.schema;
  if (problem !== undefined) log.error({ err: problem }, 'going on with an older schema of the database');
  await recover(database, log);
  const redis = await RedisPool.open(config.redis, timeouts.redis, timeouts.connect, registry, log);
  const window = new ContextWindow(models);
  const windows = new HotWindow(redis, database, window.largestRetrievalLimit, log);
  const notes = new Notes(database, log);
  const queue = new SessionQueue();
  const transport = new ModelTransport(config.outbound, config.models.service, timeouts);
  const calibration = new Calibration(registry);
  const vocabularies = new VocabularyThread();
  const sources = new TokenSources(
    models.models,
    new ServerTokenizer(transport),
    vocabularies,
    calibration,
    log,
  );
  const fleet = new ModelFleet(models.models, registry);
  const planner = new Planner(window, sources, calibration, log);
  const chat = new Chat(
    planner,
    new ModelClient(transport),
    fleet,
    new Sessions(database, windows, notes, queue),
  );
  const archive = new Archive(database, windows, log);
  const files = await ConversationFiles.open({
    database,
    folder: config.files,
    uploadLimitBytes: config.upload_limit,
    log,
  });
  const stopping = new AbortController();

  const app = await buildServer(log, registry, version);
  await useCors(app, config.cors);
  healthRoutes(app, version, {
    database: () => healthOfDatabase(database),
    redis: () => healthOfRedis(redis),
    models: () => healthOfModels(fleet),
  });
  const bodyLimitBytes = Math.max(config.upload_limit, leastBodyLimitBytes);
  chatRoutes(app, { chat, bodyLimitBytes, turnMs: timeouts.turn, stopping: stopping.signal });
  modelRoutes(app, window, new ServedModels(transport));
  passthroughRoutes(app, {
    transport,
    fleet,
    defaultModel: window.defaultModel,
    bodyLimitBytes,
    turnMs: timeouts.turn,
  });
  tokenRoutes(app, planner, bodyLimitBytes);
  sessionRoutes(app, archive, files);
  await fileRoutes(app, files);
  await app.ready();
  // From here on: building routes and their documentation takes its time, and nobody waits for it.
  const eventLoop = watchEventLoop({ registry });

  const close = async () => {
    const timer = setTimeout(() => stopping.abort(), timeouts.drain);
    await app.close();
    await queue.whenIdle();
    clearTimeout(timer);
    await archive.close();
    await files.close();
    notes.close();
    redis.close();
    await database.close();
    await vocabularies.close();
    await transport.close();
    await eventLoop.close();
  };
  try {
    await app.listen({ host: config.listen.host, port: config.listen.port });
  } catch (error) {
    await close();
    throw error;
  }
  return { address: app.server.address() as AddressInfo, close };
}

/** Answers that a crash cut off become messages, marked as interrupted. */
async function recover(database: Database, log: FastifyBaseLogger): Promise<void> {
  try {
    const answers = await database.call('turns.recover', { now: new Date().toISOString() });
    if (answers > 0) log.warn({ answers }, 'kept answers that were cut off when the service last ended');
  } catch (error) {
    log.error({ err: error }, 'could not recover answers that were cut off; the next start tries again');
  }
}

function healthOfRedis({ statistics }: RedisPool): HealthOfPart {
  const { state, readyConnections } = statistics;
  const works = state === 'closed' && readyConnections > 0;
  return { status: works ? 'ok' : 'degraded', breaker: state, connections: readyConnections };
}

function healthOfModels(fleet: ModelFleet): HealthOfPart {
  const models = fleet.health();
  const degraded = Object.values(models).some(({ status }) => status === 'degraded');
  return { status: degraded ? 'degraded' : 'ok', models };
}

function healthOfDatabase({ schema }: Database): HealthOfPart {
  const { version, target, problem } = schema;
  const versions = { schema_version: version, schema_target: target };
  if (problem === undefined) return { status: 'ok', ...versions };
  return { status: 'degraded', ...versions, problem: { code: problem.code, message: problem.message } };
}
