import { type HostState, observation, type StatusDocument } from '../../sidecar/telemetry/documents.ts';
import { hopsDocument, statusHops } from '../../sidecar/telemetry/hop-documents.ts';
import { renderMetrics } from '../../sidecar/telemetry/metrics.ts';
import { readMetrics } from '../../sidecar/telemetry/metrics-document.ts';
import { Telemetry } from '../../sidecar/telemetry/telemetry.ts';
import type { CallRecord } from '../../sidecar/terms/call-record.ts';
import { memoryLogger } from './log-lines.ts';

/** The real telemetry of one sidecar, and what a reader gets of it. */
export interface TestHost {
  readonly telemetry: Telemetry;
  record(...calls: readonly CallRecord[]): void;
  /** What its documents say now. */
  read(status?: Partial<StatusDocument>): Promise<HostState>;
}

export function testHost(
  t: { teardown(done: () => unknown): void },
  service: string,
  host: string,
  peers: readonly string[] = ['main-backend', 'npu-worker', 'ai-stack'],
): TestHost {
  const telemetry = new Telemetry({ service, peers, logger: memoryLogger().logger });
  t.teardown(() => telemetry.close());
  return {
    telemetry,
    record(...calls) {
      for (const call of calls) telemetry.record(call);
    },
    async read(status = {}) {
      const snapshot = telemetry.snapshot();
      const metrics = await renderMetrics(snapshot, { phase: 'logging', version: '1.2.3' });
      return {
        from: `http://${host}:15000`,
        status: {
          service,
          host,
          phase: 'logging',
          version: '1.2.3',
          build: 'b',
          matrix: 'm',
          fleet: 'f',
          keys: { inbound: {}, outbound: {} },
          hops: statusHops(snapshot.hopCounts),
          uptime_seconds: 100,
          ready: true,
          workers: 1,
          app_exposed_on: [],
          app_listens: true,
          ...status,
        },
        metrics: readMetrics(metrics),
        observed: {
          since: '2026-11-23T00:00:00.000Z',
          phase: 'logging',
          recorded: [],
          observations: snapshot.rows.map(observation),
          skew: [],
          keys_first_seen: {},
          hops: hopsDocument(snapshot.hops),
          overflow: 0,
        },
      };
    },
  };
}
