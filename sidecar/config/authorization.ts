import { createHash } from 'node:crypto';
import * as z from 'zod';
import { ConfigError, check, type Problem, readYaml, type Source } from '../../config/load.ts';
import { nearestName } from '../../config/nearest-name.ts';
import { serviceName } from '../../config/units.ts';
import { compileRules, Matrix } from '../policy/matrix.ts';
import type { Fleet } from './fleet.ts';

const rule = z
  .string({ error: 'a rule such as "GET /api/status/*"; quote one that starts with *' })
  .meta({ kind: 'rule' });
const ruleList = z.array(rule, { error: 'a list of rules such as [ GET /api/status/* ]' });

const service = z.strictObject({
  public: ruleList.default([]).describe('Calls that need no signature.'),
  callers: z
    .record(serviceName, ruleList.describe('The rules of one caller: `METHOD /path`, see above.'))
    .default({})
    .describe('What each caller may call.'),
});

/** authorization.yaml: per callee, what needs no signature and what each caller may do. */
export const authorizationSchema = z.strictObject({
  services: z.record(serviceName, service).describe('One entry a callee, by its name in fleet.yaml.'),
});

/** Problems past this many are not worth their search for line numbers. */
const mostProblems = 100;

/**
 * Reads and compiles authorization.yaml.
 *
 * @param fleet services that are not in it are errors
 * @throws {ConfigError} also for duplicate rules and for rules that an earlier one of the same caller covers
 */
export async function loadMatrix(file: string, fleet?: Fleet): Promise<Matrix> {
  return compileMatrix(await readYaml(file), fleet);
}

/** Compiles a parsed authorization.yaml. @throws {ConfigError} every problem at once */
export function compileMatrix(source: Source, fleet?: Fleet): Matrix {
  const { services } = check(source, authorizationSchema, 'authorization.yaml');
  const problems: Problem[] = [];
  const report = (
    path: readonly (string | number)[],
    of: 'key' | 'value',
    found: string,
    expected: string,
  ) => {
    if (problems.length >= mostProblems) return;
    problems.push({ file: source.file, ...source.place(path, of), path: path.join('.'), found, expected });
  };
  const rules = compileRules(services, ({ path, found, expected, because }) => {
    const line = because === undefined ? '' : ` (line ${source.place(because).line})`;
    report(path, 'value', `${found}${line}`, expected);
  });
  if (fleet !== undefined) {
    for (const [name, { callers }] of Object.entries(services)) {
      const path = ['services', name];
      reportUnknown(fleet, name, path, report);
      const callee = fleet.services.get(name);
      if (callee !== undefined && callee.inbound === undefined)
        report(
          path,
          'key',
          `rules for ${name}`,
          'none: in fleet.yaml it has no inbound port, so nothing calls it',
        );
      for (const caller of Object.keys(callers))
        reportUnknown(fleet, caller, [...path, 'callers', caller], report);
    }
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return new Matrix(rules, createHash('sha256').update(source.text).digest('hex'));
}

function reportUnknown(
  fleet: Fleet,
  name: string,
  path: readonly string[],
  report: (path: readonly string[], of: 'key', found: string, expected: string) => void,
): void {
  if (fleet.services.has(name)) return;
  const names = [...fleet.services.keys()];
  const near = nearestName(name, names);
  const expected = `${near === undefined ? '' : `${near}: `}one that fleet.yaml names: ${names.join(', ')}`;
  report(path, 'key', `the unknown service "${name}"`, expected);
}
