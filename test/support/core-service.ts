import { join } from 'node:path';
import { pino } from 'pino';
import type { Test } from 'tap';
import type { CoreConfig, CoreTimeouts } from '../../core/config/core-config.ts';
import { type LlmModels, loadLlmModels } from '../../core/config/llm-models.ts';
import { parsePostgresUrl } from '../../core/config/postgres-url.ts';
import { parseRedisUrl } from '../../core/config/redis-url.ts';
import { type CoreService, startCore } from '../../core/service.ts';
import { ModelServer } from './model-server.ts';
import { tempFolder } from './temp-folder.ts';

export const shippedModelsFile = new URL('../../config/llm_models.yaml', import.meta.url).pathname;
/** The same models without tokenizers, which take half a second to load. */
export const modelsFile = new URL('llm_models.yaml', import.meta.url).pathname;

export const testTimeouts: CoreTimeouts = {
  redis: 100,
  database: 5000,
  slow_read: 10_000,
  connect: 500,
  response: 5000,
  idle: 5000,
  turn: 10_000,
  hang_up: 0,
  drain: 1000,
};

/** A core service in the process of the test, with a real model server as its peer. */
export interface TestCore {
  readonly service: CoreService;
  readonly url: string;
  readonly model: ModelServer;
  readonly modelPort: number;
  readonly config: CoreConfig;
  /** The embedded database. */
  readonly sqlite: string;
  readonly logLines: Record<string, unknown>[];
  readonly fetch: (path: string, init?: RequestInit) => Promise<Response>;
  /** One turn, not streamed; the body of the answer. */
  readonly say: (session: string, text: string, headers?: Record<string, string>) => Promise<Response>;
}

export interface TestCoreOptions {
  /** Default: a port that nothing listens on, so that there is no Redis. */
  readonly redis?: string;
  readonly timeouts?: Partial<CoreTimeouts>;
  /** Default: the model server of the test. */
  readonly outboundPort?: number;
  readonly cors?: CoreConfig['cors'];
  readonly telemetry?: CoreConfig['telemetry'];
  /** Default: a database of its own. */
  readonly sqlite?: string;
  /** Default: those of {@link modelsFile}. */
  readonly models?: LlmModels;
  readonly unownedReaders?: readonly string[];
  readonly limits?: Partial<CoreConfig['limits']>;
  /** URL of a database that is used instead of SQLite, also for contents. */
  readonly postgres?: string;
  readonly postgresPool?: number;
  /** Called before the start, with the path of the database that does not exist yet. */
  readonly prepare?: (sqlite: string) => void;
}

export async function startTestCore(t: Test, options: TestCoreOptions = {}): Promise<TestCore> {
  const folder = await tempFolder(t);
  const model = new ModelServer();
  const { port } = await model.listen();
  const sqlite = options.sqlite ?? join(folder, 'core.db');
  const config: CoreConfig = {
    listen: { host: '127.0.0.1', port: 0 },
    redis: { url: parseRedisUrl(options.redis ?? 'redis://127.0.0.1:1'), databases: { chat: 0 }, pool: 2 },
    ...(options.postgres === undefined
      ? { sqlite, files: join(folder, 'files') }
      : { postgres: { url: parsePostgresUrl(options.postgres), pool: options.postgresPool ?? 5 } }),
    upload_limit: 1024 * 1024,
    unowned_readers: [...(options.unownedReaders ?? [])],
    limits: { callers: {}, ...options.limits },
    outbound: { host: '127.0.0.1', port: options.outboundPort ?? port },
    models: { file: modelsFile, service: 'ai-stack' },
    ...(options.cors && { cors: options.cors }),
    ...(options.telemetry && { telemetry: options.telemetry }),
    timeouts: { ...testTimeouts, ...options.timeouts },
  };
  options.prepare?.(sqlite);
  const logLines: Record<string, unknown>[] = [];
  const log = pino({}, { write: (line: string) => void logLines.push(JSON.parse(line)) });
  const service = await startCore(config, options.models ?? (await loadLlmModels(modelsFile)), log, '0.0.0');
  const url = `http://127.0.0.1:${service.address.port}`;
  t.teardown(async () => {
    await model.close();
    await service.close();
  });
  const request = (path: string, init?: RequestInit) => fetch(`${url}${path}`, init);
  return {
    service,
    url,
    model,
    modelPort: port,
    config,
    sqlite,
    logLines,
    fetch: request,
    say: (session, content, headers = {}) =>
      request('/v1/chat/completions', {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'x-session-id': session, ...headers },
        body: JSON.stringify({ messages: [{ role: 'user', content }] }),
      }),
  };
}
