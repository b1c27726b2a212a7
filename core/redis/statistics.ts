import type { RedisConfig } from '../config/core-config.ts';

export type BreakerState = 'closed' | 'open' | 'half-open';
export type DatabaseName = keyof RedisConfig['databases'];

/** What became of a command; a rejected one never left: the breaker was open. */
export type CommandOutcome = 'ok' | 'error' | 'timeout' | 'rejected';

/** What has gone through a pool since it was opened. */
export interface RedisStatistics {
  readonly state: BreakerState;
  readonly readyConnections: number;
  readonly commands: number;
  readonly errors: number;
  readonly bytesRead: number;
  readonly bytesWritten: number;
}
