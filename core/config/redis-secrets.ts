import { readText } from '../../config/load.ts';
import type { RedisConfig } from './core-config.ts';

/** Secrets and certificates, read from the files that core.yaml names. */
export interface RedisSecrets {
  readonly password?: string;
  readonly sentinelPassword?: string;
  readonly ca?: string;
}

/** Reads the files that the section `redis` names. @throws {import('../../config/load.ts').ConfigError} */
export async function readRedisSecrets(config: RedisConfig): Promise<RedisSecrets> {
  const [password, sentinelPassword, ca] = await Promise.all(
    [config.password_file, config.sentinel_password_file, config.ca_file].map((file) =>
      file === undefined ? undefined : readText(file),
    ),
  );
  return {
    ...(password === undefined ? {} : { password: password.trim() }),
    ...(sentinelPassword === undefined ? {} : { sentinelPassword: sentinelPassword.trim() }),
    ...(ca === undefined ? {} : { ca }),
  };
}
