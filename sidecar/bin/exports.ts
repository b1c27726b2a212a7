import type { MessagePort } from 'node:worker_threads';
import type { Build } from '../../config/program.ts';
import { signalTargets } from '../../signals/config.ts';
import { ExportThread } from '../../signals/export-thread.ts';
import { Feeds } from '../../signals/feeds.ts';
import type { SidecarConfig } from '../config/sidecar-config.ts';
import type { Logger } from '../telemetry/log.ts';

/**
 * Starts the thread that exports what sidecar.yaml's `telemetry` names; undefined when it names nothing.
 *
 * @param host as fleet.yaml writes it
 */
export function startExports(
  config: SidecarConfig,
  host: string,
  phase: string,
  { version }: Build,
  logger: Logger,
): ExportThread | undefined {
  const targets = signalTargets(config.telemetry);
  if (targets === undefined) return undefined;
  const resource = {
    'service.name': config.service,
    'service.instance.id': host,
    'countersign.component': 'sidecar',
    'countersign.phase': phase,
  };
  return new ExportThread({ targets, resource, version }, (error) =>
    logger.error({ event: 'exports-ended', err: error }, 'nothing is exported any more: the thread failed'),
  );
}

/** The feeds of one thread that serves calls. @param port to the exporting thread */
export function openFeeds(
  port: MessagePort | undefined,
  config: SidecarConfig,
  logger: Logger,
): Feeds | undefined {
  const targets = signalTargets(config.telemetry);
  if (port === undefined || targets === undefined) return undefined;
  return new Feeds(port, targets, (problem) => {
    if (problem === undefined) logger.info({ event: 'exports-work' }, 'everything is exported again');
    else logger.warn({ event: 'exports-lost', problem }, `spans, denials or access log are lost: ${problem}`);
  });
}
