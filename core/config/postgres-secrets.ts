import { readText } from '../../config/load.ts';
import type { PostgresConfig } from './core-config.ts';

/** Secrets and certificates, read from the files that core.yaml names. */
export interface PostgresSecrets {
  readonly password: string | undefined;
  readonly ca: string | undefined;
}

/** Reads the files that the section `postgres` names. @throws {import('../../config/load.ts').ConfigError} */
export async function readPostgresSecrets({
  password_file,
  ca_file,
}: PostgresConfig): Promise<PostgresSecrets> {
  const [password, ca] = await Promise.all(
    [password_file, ca_file].map((file) => (file === undefined ? undefined : readText(file))),
  );
  return { password: password?.trim(), ca };
}
