import { type Family, gauge, type Sample } from './family.ts';
import type { TelemetrySnapshot } from './snapshot.ts';

/** The process and its event loops, under the names that Prometheus users know. */
export function processFamilies(snapshot: TelemetrySnapshot): Family[] {
  const { userCPUTime, systemCPUTime } = process.resourceUsage();
  const memory = process.memoryUsage();
  return [
    {
      name: 'process_cpu_seconds_total',
      help: 'Processor time, user and system.',
      type: 'counter',
      values: [one((userCPUTime + systemCPUTime) / 1e6)],
    },
    gauge('process_resident_memory_bytes', 'Resident memory.', [one(memory.rss)]),
    gauge('process_start_time_seconds', 'Start, in seconds since the epoch.', [
      one(Date.now() / 1000 - process.uptime()),
    ]),
    gauge('nodejs_heap_size_used_bytes', 'JavaScript heap in use, of the main thread.', [
      one(memory.heapUsed),
    ]),
    gauge('nodejs_external_memory_bytes', 'Memory of buffers.', [one(memory.external)]),
    gauge(
      'countersign_event_loop_delay_seconds',
      'How late the event loop ran its timers, since start.',
      snapshot.loops.flatMap(({ worker, p50Seconds, p99Seconds, maxSeconds }) => [
        { labels: { worker, quantile: '0.5' }, value: p50Seconds },
        { labels: { worker, quantile: '0.99' }, value: p99Seconds },
        { labels: { worker, quantile: '1' }, value: maxSeconds },
      ]),
    ),
    gauge(
      'countersign_event_loop_utilization',
      'Share of the time that the event loop was busy, since start.',
      snapshot.loops.map(({ worker, utilization }) => ({ labels: { worker }, value: utilization })),
    ),
  ];
}

function one(value: number): Sample {
  return { labels: {}, value };
}
