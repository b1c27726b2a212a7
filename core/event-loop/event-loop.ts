import { monitorEventLoopDelay } from 'node:perf_hooks';
import { Counter, Gauge, type Registry } from 'prom-client';
import { startWorker } from '../../config/program.ts';
import { beat, newHeartbeat } from './heartbeat.ts';
import type { WatcherData } from './watcher.ts';

export interface EventLoopOptions {
  readonly registry: Registry;
  /** How long a callback may keep the loop from turning before its stack is logged; default 100. */
  readonly thresholdMs?: number;
  /** Where a blocked loop is logged: a file descriptor, default 1 (standard output). */
  readonly logDescriptor?: number;
}

/**
 * Measures the event loop (metrics `nodejs_eventloop_lag_*`, since the last scrape) and watches it from a worker thread: when
 * it is blocked for longer than the threshold, one log line with the stack is written while it still is, and one
 * with the duration when it turns again.
 */
export function watchEventLoop(options: EventLoopOptions): { close(): Promise<void> } {
  const thresholdMs = options.thresholdMs ?? 100;
  const intervalMs = Math.max(1, Math.min(25, Math.floor(thresholdMs / 4)));
  const heartbeat = newHeartbeat();
  const stopMeasuring = measure(options.registry);
  const blocked = new Counter({
    name: 'countersign_core_event_loop_blocked_total',
    help: 'Times that a callback kept the event loop from turning for longer than the threshold.',
    registers: [options.registry],
  });
  const blockedSeconds = new Counter({
    name: 'countersign_core_event_loop_blocked_seconds_total',
    help: 'Time in which the event loop was blocked for longer than the threshold.',
    registers: [options.registry],
  });
  function onHeartbeat(): void {
    const gapMs = beat(heartbeat);
    if (gapMs <= thresholdMs + intervalMs) return;
    blocked.inc();
    blockedSeconds.inc(gapMs / 1000);
  }
  const timer = setInterval(onHeartbeat, intervalMs).unref();
  const workerData: WatcherData = {
    heartbeat,
    thresholdMs,
    intervalMs,
    logDescriptor: options.logDescriptor ?? 1,
  };
  const watcher = startWorker('core/event-loop/watcher', { workerData });
  watcher.unref();
  return {
    async close() {
      clearInterval(timer);
      stopMeasuring();
      await watcher.terminate();
    },
  };
}

const resolutionMs = 20;

/** The names are those that dashboards for Node.js services know. */
function measure(registry: Registry): () => void {
  const histogram = monitorEventLoopDelay({ resolution: resolutionMs });
  histogram.enable();
  /** The histogram has the time between two samples; what exceeds their interval is delay. */
  const delaySeconds = (nanoseconds: number) => Math.max(0, nanoseconds / 1e9 - resolutionMs / 1e3);
  const values = {
    min: () => delaySeconds(histogram.min),
    max: () => delaySeconds(histogram.max),
    mean: () => delaySeconds(histogram.mean),
    stddev: () => histogram.stddev / 1e9,
    p50: () => delaySeconds(histogram.percentile(50)),
    p90: () => delaySeconds(histogram.percentile(90)),
    p99: () => delaySeconds(histogram.percentile(99)),
  };
  const gauges: { readonly gauge: Gauge; readonly value: () => number }[] = [];
  // Registered before those that it sets, so that a scrape sees one consistent window, and starts the next.
  new Gauge({
    name: 'nodejs_eventloop_utilization',
    help: 'Share of the time since the start in which the event loop was not idle.',
    registers: [registry],
    collect() {
      this.set(performance.eventLoopUtilization().utilization);
      for (const { gauge, value } of gauges) gauge.set(histogram.count === 0 ? 0 : value());
      histogram.reset();
    },
  });
  for (const [name, value] of Object.entries(values)) {
    const gauge = new Gauge({
      name: `nodejs_eventloop_lag_${name}_seconds`,
      help: `Event loop delay since the last scrape: ${name}.`,
      registers: [registry],
    });
    gauges.push({ gauge, value });
  }
  return () => histogram.disable();
}
