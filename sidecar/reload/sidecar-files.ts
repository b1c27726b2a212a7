import { stat } from 'node:fs/promises';
import { Loading } from '../../config/loading.ts';
import { fileProblem, type Problem } from '../../config/problem.ts';
import { loadMatrix } from '../config/authorization.ts';
import { type Fleet, loadFleet } from '../config/fleet.ts';
import { loadSidecarConfig, type SidecarFile } from '../config/sidecar-config.ts';
import { KeySourceError } from '../keyring/errors.ts';
import { groupId } from '../listen/group-id.ts';
import type { Matrix } from '../policy/matrix.ts';
import { fleetProblems, keyringProblems } from './consistency.ts';
import { KeySource } from './key-source.ts';
import { PolicySource } from './policy-source.ts';

/** Files to look at; what is not named is taken from the sidecar.yaml, if there is one. */
export interface NamedFiles {
  readonly config?: string;
  readonly fleet?: string;
  readonly authorization?: string;
  readonly keyring?: string;
}

/** What could be read of them. */
export interface LoadedFiles {
  readonly sidecar?: SidecarFile;
  readonly fleet?: Fleet;
  readonly matrix?: Matrix;
  readonly keys?: KeySource;
}

/** The files of a sidecar, all right and all belonging together. */
export interface SidecarFiles {
  readonly sidecar: SidecarFile;
  readonly policy: PolicySource;
  readonly keys: KeySource;
}

/**
 * Reads the files of a sidecar as it does at its start.
 *
 * @param file sidecar.yaml
 * @throws {import('../../config/loading.ts').FilesError} with every problem of every file
 */
export async function loadSidecarFiles(file: string): Promise<SidecarFiles> {
  const { sidecar, fleet, matrix, keys } = (await loadFiles({ config: file })) as Required<LoadedFiles>;
  const { config } = sidecar;
  const judge = (next: Fleet) => [
    ...fleetProblems(sidecar, next),
    ...keyringProblems(config.keyring, keys.current, sidecar, next),
  ];
  return { sidecar, policy: new PolicySource(config, { fleet, matrix }, judge), keys };
}

/**
 * Reads the named files and judges them together: `countersign check` and the start of a sidecar alike.
 *
 * @throws {import('../../config/loading.ts').FilesError} with every problem of every file
 */
export async function loadFiles(named: NamedFiles): Promise<LoadedFiles> {
  const loading = new Loading(KeySourceError);
  const sidecar = await loading.file(loadSidecarConfig, named.config);
  const files = { ...sidecar?.config, ...named };
  const fleet = await loading.file(loadFleet, files.fleet);
  const matrix = await loading.file((file) => loadMatrix(file, fleet), files.authorization);
  const keys = await loading.file(KeySource.open, files.keyring);
  if (sidecar !== undefined) {
    loading.add(await machineProblems(sidecar));
    if (fleet !== undefined) loading.add(fleetProblems(sidecar, fleet));
    if (keys !== undefined) loading.add(keyringProblems(keys.file, keys.current, sidecar, fleet));
  }
  loading.end();
  return {
    ...(sidecar === undefined ? {} : { sidecar }),
    ...(fleet === undefined ? {} : { fleet }),
    ...(matrix === undefined ? {} : { matrix }),
    ...(keys === undefined ? {} : { keys }),
  };
}

/** What this machine lacks of what sidecar.yaml names. */
async function machineProblems({ config, source }: SidecarFile): Promise<Problem[]> {
  const problems: Problem[] = [];
  for (const section of ['outbound', 'admin'] as const) {
    const { group } = config[section];
    if (group === undefined || (await groupId(group)) !== undefined) continue;
    const path = [section, 'group'];
    const place = { file: source.file, ...source.place(path), path: path.join('.') };
    problems.push({ ...place, found: `the group "${group}"`, expected: 'a group of /etc/group' });
  }
  const state = await stat(config.state).catch(() => undefined);
  if (state !== undefined && !state.isDirectory())
    problems.push(
      fileProblem(
        config.state,
        'something that is no folder',
        'the state folder of sidecar.yaml, or nothing',
      ),
    );
  return problems;
}
