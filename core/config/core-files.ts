import { Loading } from '../../config/loading.ts';
import { type CoreConfig, loadCoreConfig } from './core-config.ts';
import { type LlmModels, loadLlmModels } from './llm-models.ts';
import { readPostgresSecrets } from './postgres-secrets.ts';
import { readRedisSecrets } from './redis-secrets.ts';

/** The files of the core service, all right and all there. */
export interface CoreFiles {
  readonly config: CoreConfig;
  readonly models: LlmModels;
}

/**
 * Reads core.yaml and what it names: `countersign check` and the start of the core alike.
 *
 * @throws {import('../../config/loading.ts').FilesError} with every problem of every file
 */
export async function loadCoreFiles(file: string): Promise<CoreFiles> {
  const loading = new Loading();
  const config = await loading.file(loadCoreConfig, file);
  const models = await loading.file(loadLlmModels, config?.models.file);
  if (config !== undefined) await loading.file(() => readRedisSecrets(config.redis), file);
  const postgres = config?.postgres;
  if (postgres !== undefined) await loading.file(() => readPostgresSecrets(postgres), file);
  loading.end();
  return { config, models } as CoreFiles;
}
