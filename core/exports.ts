import type { FastifyBaseLogger } from 'fastify';
import { Counter, type Registry } from 'prom-client';
import { signalTargets } from '../signals/config.ts';
import { ExportThread } from '../signals/export-thread.ts';
import { Feeds } from '../signals/feeds.ts';
import type { CoreConfig } from './config/core-config.ts';

/** Starts to export what core.yaml's `telemetry` names; undefined when it names nothing. */
export function openFeeds(
  { telemetry }: CoreConfig,
  version: string,
  registry: Registry,
  log: FastifyBaseLogger,
): Feeds | undefined {
  const targets = signalTargets(telemetry);
  if (targets === undefined) return undefined;
  const resource = { 'service.name': 'countersign-core', 'countersign.component': 'core' };
  const thread = new ExportThread({ targets, resource, version }, (error) =>
    log.error({ err: error }, 'no spans are sent any more: the thread failed'),
  );
  const feeds = new Feeds(thread.attach(), targets, (problem) => {
    if (problem === undefined) log.info('spans are sent again');
    else log.warn({ problem }, 'spans are lost');
  });
  new Counter({
    name: 'countersign_core_spans_dropped_total',
    help: 'Spans that were lost on their way to the collector.',
    registers: [registry],
    collect() {
      this.reset();
      this.inc(feeds.dropped.traces ?? 0);
    },
  });
  return feeds;
}
