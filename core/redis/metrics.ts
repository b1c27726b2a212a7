import { Counter, Gauge, Histogram, type Registry } from 'prom-client';
import type { BreakerState, CommandOutcome, DatabaseName, RedisStatistics } from './statistics.ts';

const states: readonly BreakerState[] = ['closed', 'half-open', 'open'];

/** A pool as metrics. */
export class RedisMetrics {
  readonly #commands: Counter<'database' | 'command' | 'outcome'>;
  readonly #seconds: Histogram<'database' | 'command'>;

  constructor(registry: Registry, statistics: () => RedisStatistics) {
    const registers = [registry];
    this.#commands = new Counter({
      name: 'countersign_core_redis_commands_total',
      help: 'Commands by outcome; rejected ones never left: the breaker was open.',
      labelNames: ['database', 'command', 'outcome'],
      registers,
    });
    this.#seconds = new Histogram({
      name: 'countersign_core_redis_command_duration_seconds',
      help: 'Time that Redis took for a command, failed ones included, rejected ones not.',
      labelNames: ['database', 'command'],
      buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1],
      registers,
    });
    new Gauge({
      name: 'countersign_core_redis_breaker_state',
      help: '1 for the state that the circuit breaker is in.',
      labelNames: ['state'],
      registers,
      collect() {
        for (const state of states) this.set({ state }, statistics().state === state ? 1 : 0);
      },
    });
    new Gauge({
      name: 'countersign_core_redis_connections',
      help: 'Connections that are ready.',
      registers,
      collect() {
        this.set(statistics().readyConnections);
      },
    });
    new Counter({
      name: 'countersign_core_redis_bytes_total',
      help: 'Bytes on the wire, in from Redis and out to it.',
      labelNames: ['direction'],
      registers,
      collect() {
        const { bytesRead, bytesWritten } = statistics();
        this.reset();
        this.inc({ direction: 'in' }, bytesRead);
        this.inc({ direction: 'out' }, bytesWritten);
      },
    });
  }

  observe(database: DatabaseName, command: string, outcome: CommandOutcome, ms: number): void {
    this.#commands.inc({ database, command, outcome });
    if (outcome !== 'rejected') this.#seconds.observe({ database, command }, ms / 1000);
  }
}
