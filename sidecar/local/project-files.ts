import { join } from 'node:path';
import { ConfigError } from '../../config/load.ts';
import { root } from '../../tools/build.ts';
import { loadMatrix } from '../config/authorization.ts';
import { loadFleet } from '../config/fleet.ts';
import { localNames } from './layout.ts';

/** The files that a local fleet runs with; edit them and the sidecars take the change at once. */
export interface LocalFiles {
  readonly fleet: string;
  readonly authorization: string;
  readonly models: string;
}

/** Those of the project. */
export const projectFiles: LocalFiles = {
  fleet: join(root, 'config/fleet.yaml'),
  authorization: join(root, 'config/authorization.yaml'),
  models: join(root, 'config/llm_models.yaml'),
};

/** Before anything is started. What the core reads it checks itself. @throws {ConfigError} */
export async function checkProjectFiles(): Promise<void> {
  const fleet = await loadFleet(projectFiles.fleet);
  const missing = localNames.filter((name) => !fleet.services.has(name));
  if (missing.length > 0) {
    const found = `no ${missing.join(', ')} among the services`;
    const problem = { file: projectFiles.fleet, line: 0, column: 0, path: 'services', found };
    throw new ConfigError([{ ...problem, expected: `${localNames.join(', ')}, which the local fleet runs` }]);
  }
  await loadMatrix(projectFiles.authorization, fleet);
}
