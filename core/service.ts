import type { AddressInfo } from 'node:net';
import type { FastifyBaseLogger } from 'fastify';
import { Registry } from 'prom-client';
import { Chat } from './chat/chat.ts';
import { Planner } from './chat/planner.ts';
import type { CoreConfig } from './config/core-config.ts';
import type { LlmModels } from './config/llm-models.ts';
import { Calibration } from './context/calibration.ts';
import { ContextWindow } from './context/context-window.ts';
import { chatRoutes } from './http/chat-routes.ts';
import { healthRoutes } from './http/health.ts';
import { buildServer } from './http/server.ts';
import { ModelClient } from './llm/client.ts';

/** A core service that runs. */
export interface CoreService {
  readonly address: AddressInfo;
  /** Takes nothing new, lets running turns end (those that take longer than `timeouts.drain` are interrupted), closes all. */
  close(): Promise<void>;
}

/** Builds the whole service and starts to listen. */
export async function startCore(
  config: CoreConfig,
  models: LlmModels,
  log: FastifyBaseLogger,
  version: string,
): Promise<CoreService> {
  const registry = new Registry();
  const window = new ContextWindow(models);
  const planner = new Planner(window, new Calibration(registry), log);
  const model = new ModelClient(config.outbound, config.models.service, config.timeouts);
  const chat = new Chat(planner, model);
  const stopping = new AbortController();

  const app = await buildServer(log, registry, version);
  healthRoutes(app, version, {});
  chatRoutes(app, { chat, models: window.models, turnMs: config.timeouts.turn, stopping: stopping.signal });
  await app.listen({ host: config.listen.host, port: config.listen.port });
  return {
    address: app.server.address() as AddressInfo,
    async close() {
      const timer = setTimeout(() => stopping.abort(), config.timeouts.drain);
      await app.close();
      clearTimeout(timer);
      await model.close();
    },
  };
}
