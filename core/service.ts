import { mkdir } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { dirname } from 'node:path';
import type { FastifyBaseLogger } from 'fastify';
import { Gauge, Registry } from 'prom-client';
import { Archive } from './chat/archive.ts';
import { Chat } from './chat/chat.ts';
import { FollowedTurns } from './chat/followed-turns.ts';
import { LiveTurns } from './chat/live-turns.ts';
import { Notes } from './chat/notes.ts';
import { Planner } from './chat/planner.ts';
import { SessionLine } from './chat/session-line.ts';
import { Sessions } from './chat/sessions.ts';
import { Summaries } from './chat/summaries.ts';
import type { CoreConfig } from './config/core-config.ts';
import type { ListenOn } from './config/listen-on.ts';
import type { LlmModels } from './config/llm-models.ts';
import { Calibration } from './context/calibration.ts';
import { ContextWindow } from './context/context-window.ts';
import type { Database } from './database/database.ts';
import { openDatabase } from './database/open-database.ts';
import { watchEventLoop } from './event-loop/event-loop.ts';
import { openFeeds } from './exports.ts';
import type { ContentStore } from './files/content-store.ts';
import { ConversationFiles } from './files/conversation-files.ts';
import { DatabaseStore } from './files/database-store.ts';
import { FolderStore } from './files/folder-store.ts';
import { UnownedReaders } from './http/caller.ts';
import { chatRoutes } from './http/chat-routes.ts';
import { consoleRoutes } from './http/console-routes.ts';
import { useCors } from './http/cors.ts';
import { fileRoutes } from './http/files/routes.ts';
import { type HealthOfPart, healthRoutes } from './http/health.ts';
import { useLimits } from './http/limits.ts';
import { Listener } from './http/listener.ts';
import { modelRoutes } from './http/model-routes.ts';
import { passthroughRoutes } from './http/passthrough-routes.ts';
import { buildServer } from './http/server.ts';
import { sessionRoutes } from './http/session-routes.ts';
import { streamRoutes } from './http/stream-routes.ts';
import { tokenRoutes } from './http/token-routes.ts';
import { CallerLimits } from './limits/caller-limits.ts';
import { ModelClient } from './llm/client.ts';
import { ModelFleet } from './llm/model-fleet.ts';
import { ModelMetrics } from './llm/model-metrics.ts';
import { ServedModels } from './llm/served-models.ts';
import { ModelTransport } from './llm/transport.ts';
import { Membership } from './membership/membership.ts';
import { toPostgresOptions } from './postgres-options.ts';
import { RedisPool } from './redis/redis-pool.ts';
import { chunkStore } from './store/chunk-store.ts';
import { conversationStore } from './store/conversation-store.ts';
import { fileStore } from './store/file-store.ts';
import { HotWindow } from './store/hot-window.ts';
import { memberStore } from './store/member-store.ts';
import { turnStore } from './store/turn-store.ts';
import { ServerTokenizer } from './tokens/server-tokenizer.ts';
import { TokenSources } from './tokens/token-sources.ts';
import { VocabularyThread } from './tokens/vocabulary-counter.ts';

/** A chat without images has room in it, however small `upload_limit` is. */
const leastBodyLimitBytes = 4 * 1024 * 1024;

/** A core service that runs. */
export interface CoreService {
  readonly address: AddressInfo;
  /**
   * Drains: accepts no connection, answers what comes on open ones, lets running turns end (those that take longer than
   * `timeouts.drain` are interrupted), and closes all.
   */
  close(): Promise<void>;
}

/**
 * Builds the whole service and starts to listen. Redis may be down; the database has to open.
 *
 * @param on where to listen; default: the address of core.yaml
 * @throws {import('./database/errors.ts').DatabaseError | import('../config/load.ts').ConfigError}
 */
export async function startCore(
  config: CoreConfig,
  models: LlmModels,
  log: FastifyBaseLogger,
  version: string,
  on: ListenOn = config.listen,
): Promise<CoreService> {
  const registry = new Registry();
  const { timeouts } = config;
  const database = await openConfigured(config, log);
  const { problem } = database.schema;
  if (problem !== undefined) log.error({ err: problem }, 'going on with an older schema of the database');
  const turns = turnStore(database);
  const membership = await Membership.join(memberStore(database), turns, log);
  const redis = await RedisPool.open(config.redis, timeouts.redis, timeouts.connect, registry, log);
  const window = new ContextWindow(models);
  const windows = new HotWindow(redis, turns, window.largestRetrievalLimit, log);
  const notes = new Notes(turns, log);
  const line = new SessionLine(turns, membership);
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
  const sessions = new Sessions(line, { turns, windows, notes });
  const stopping = new AbortController();
  const live = new LiveTurns(timeouts.hang_up);
  const limits = { turnMs: timeouts.turn, stopping: stopping.signal };
  const feeds = openFeeds(config, version, registry, log);
  const modelMetrics = new ModelMetrics(models.models, config.models.service, registry);
  const model = new ModelClient(transport, modelMetrics, feeds?.traces);
  const summaries = new Summaries(turns, planner, model, fleet, log);
  const chat = new Chat(planner, model, fleet, sessions, live, summaries, limits, modelMetrics);
  countTurns(chat, registry);
  const archive = new Archive(conversationStore(database), windows, log);
  const files = new ConversationFiles({
    files: fileStore(database),
    contents: await openContents(config, database),
    uploadLimitBytes: config.upload_limit,
    log,
  });
  const readers = new UnownedReaders(config.unowned_readers);

  const app = await buildServer(log, registry, version, feeds?.traces);
  const listener = new Listener(app.server);
  const callerLimits = new CallerLimits(config.limits);
  await useCors(app, config.cors);
  useLimits(app, callerLimits);
  healthRoutes(app, version, {
    database: () => healthOfDatabase(database, membership),
    redis: () => healthOfRedis(redis),
    models: () => healthOfModels(fleet),
  });
  const bodyLimitBytes = Math.max(config.upload_limit, leastBodyLimitBytes);
  chatRoutes(app, { chat, limits: callerLimits, bodyLimitBytes });
  streamRoutes(app, live, new FollowedTurns(turns, archive), readers);
  modelRoutes(app, window, new ServedModels(transport));
  passthroughRoutes(app, {
    transport,
    fleet,
    defaultModel: window.defaultModel,
    bodyLimitBytes,
    turnMs: timeouts.turn,
  });
  tokenRoutes(app, planner, bodyLimitBytes);
  sessionRoutes(app, archive, files, readers);
  await fileRoutes(app, files, readers, callerLimits);
  consoleRoutes(app);
  await app.ready();
  // From here on: building routes and their documentation takes its time, and nobody waits for it.
  const eventLoop = watchEventLoop({ registry });

  const close = async () => {
    const timer = setTimeout(() => stopping.abort(), timeouts.drain);
    await listener.drain(stopping.signal);
    await app.close();
    await line.whenIdle();
    clearTimeout(timer);
    await summaries.close();
    await archive.close();
    await files.close();
    notes.close();
    await membership.close();
    redis.close();
    await database.close();
    await vocabularies.close();
    await transport.close();
    await feeds?.close();
    await eventLoop.close();
  };
  try {
    return { address: await listener.open(on), close };
  } catch (error) {
    await close();
    throw error;
  }
}

function countTurns(chat: Chat, registry: Registry): void {
  new Gauge({
    name: 'countersign_core_turns_in_flight',
    help: 'Turns that have begun and not ended, with or without a client that listens.',
    registers: [registry],
    collect() {
      this.set(chat.turnsInFlight);
    },
  });
}

/** The database that core.yaml names. */
async function openConfigured(config: CoreConfig, log: FastifyBaseLogger): Promise<Database> {
  const { sqlite, postgres, timeouts } = config;
  if (postgres !== undefined) {
    return openDatabase({
      postgres: await toPostgresOptions(postgres, timeouts, (error) =>
        log.warn({ err: error }, 'a connection to PostgreSQL failed'),
      ),
    });
  }
  const file = sqlite as string;
  await mkdir(dirname(file), { recursive: true, mode: 0o700 });
  return openDatabase({
    sqlite: { file, busyTimeoutMs: timeouts.database, slowReadMs: timeouts.slow_read },
  });
}

/** Contents lie in a folder, or in PostgreSQL when core.yaml names none. */
async function openContents({ files }: CoreConfig, database: Database): Promise<ContentStore> {
  return files === undefined ? new DatabaseStore(chunkStore(database)) : FolderStore.open(files);
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

function healthOfDatabase({ engine, schema }: Database, { state }: Membership): HealthOfPart {
  const { version, target, problem } = schema;
  const found = { engine, schema_version: version, schema_target: target };
  if (problem !== undefined) {
    return { status: 'degraded', ...found, problem: { code: problem.code, message: problem.message } };
  }
  return { status: state === 'joined' ? 'ok' : 'degraded', ...found };
}
