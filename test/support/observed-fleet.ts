import { type Admin, startAdmin } from '../../sidecar/admin/server.ts';
import type { StatusDocument } from '../../sidecar/telemetry/documents.ts';
import { observation } from '../../sidecar/telemetry/documents.ts';
import { EventFeed } from '../../sidecar/telemetry/event-feed.ts';
import { Telemetry } from '../../sidecar/telemetry/telemetry.ts';
import type { CallRecord } from '../../sidecar/terms/call-record.ts';
import { memoryLogger } from './log-lines.ts';

/** A real admin listener in front of a real telemetry that recorded the given calls. */
export async function adminThatSaw(
  t: { teardown(done: () => unknown): void },
  calls: readonly CallRecord[],
  status: () => Partial<StatusDocument> = () => ({}),
): Promise<{
  url: string;
  telemetry: Telemetry;
  admin: Admin;
  events: EventFeed;
  lines: Record<string, unknown>[];
}> {
  const { logger, lines } = memoryLogger();
  const telemetry = new Telemetry({
    service: 'npu-worker',
    peers: ['main-backend', 'ai-stack', 'frontend'],
    logger,
  });
  for (const call of calls) telemetry.record(call);
  const events = new EventFeed(() => {}, Date.now());
  const admin = await startAdmin(
    { host: '127.0.0.1', port: 0 },
    {
      events,
      snapshot: () => telemetry.snapshot(),
      status: () => ({
        service: 'npu-worker',
        host: '172.16.168.22',
        phase: 'logging',
        version: '1.0.0',
        build: 'b',
        matrix: 'm',
        fleet: 'f',
        keys: { inbound: {}, outbound: {} },
        hops: [],
        uptime_seconds: 1,
        ready: true,
        workers: 1,
        app_exposed_on: [],
        ...status(),
      }),
      observed: (snapshot) => ({
        since: '2026-11-23T00:00:00.000Z',
        phase: 'logging',
        recorded: [],
        observations: snapshot.rows.map(observation),
        skew: [],
        keys_first_seen: {},
        hops: [],
        overflow: 0,
      }),
    },
  );
  t.teardown(() => {
    telemetry.close();
    return admin.close().catch(() => {});
  });
  return { url: `http://${admin.address}`, telemetry, admin, events, lines };
}
