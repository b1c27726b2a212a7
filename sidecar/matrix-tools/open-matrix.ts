import { access } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { readYaml, type Source } from '../../config/load.ts';
import { compileMatrix } from '../config/authorization.ts';
import { type Fleet, loadFleet } from '../config/fleet.ts';
import type { Matrix } from '../policy/matrix.ts';
import type { Rule } from '../policy/rule.ts';

/** The files of a matrix. */
export interface MatrixFiles {
  readonly authorization: string;
  /** Default: fleet.yaml beside the matrix, if there is one. */
  readonly fleet?: string;
}

export interface OpenedMatrix {
  readonly file: string;
  readonly source: Source;
  readonly matrix: Matrix;
  readonly fleet: Fleet | undefined;
}

/** Reads the matrix, checked against the fleet. @throws {import('../../config/load.ts').ConfigError} */
export async function openMatrix({ authorization, fleet }: MatrixFiles): Promise<OpenedMatrix> {
  const source = await readYaml(authorization);
  const loaded = await openFleet(authorization, fleet);
  return { file: authorization, source, matrix: compileMatrix(source, loaded), fleet: loaded };
}

async function openFleet(authorization: string, fleet: string | undefined): Promise<Fleet | undefined> {
  if (fleet !== undefined) return loadFleet(fleet);
  const beside = join(dirname(authorization), 'fleet.yaml');
  const there = await access(beside).then(
    () => true,
    () => false,
  );
  return there ? loadFleet(beside) : undefined;
}

/** Where a rule stands: `file:line:column`. */
export function placeOf({ source, matrix }: OpenedMatrix, service: string, rule: Rule): string {
  const rules = matrix.of(service);
  const list = rule.caller === undefined ? rules.public : rules.callers.get(rule.caller);
  const section = rule.caller === undefined ? ['public'] : ['callers', rule.caller];
  const { line, column } = source.place(['services', service, ...section, list?.rules.indexOf(rule) ?? 0]);
  return `${source.file}:${line}:${column}`;
}
