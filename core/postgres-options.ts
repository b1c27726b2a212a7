import type { CoreTimeouts, PostgresConfig } from './config/core-config.ts';
import { readPostgresSecrets } from './config/postgres-secrets.ts';
import type { PostgresOptions } from './database/postgres/postgres-database.ts';

/**
 * What core.yaml says of PostgreSQL, with its files read.
 *
 * @throws {import('../config/load.ts').ConfigError}
 */
export async function toPostgresOptions(
  config: PostgresConfig,
  timeouts: Pick<CoreTimeouts, 'database' | 'slow_read'>,
  onError: (error: Error) => void,
): Promise<PostgresOptions> {
  return {
    servers: { ...config.url, ...(await readPostgresSecrets(config)) },
    pool: config.pool,
    timeoutMs: timeouts.database,
    slowReadMs: timeouts.slow_read,
    onError,
  };
}
