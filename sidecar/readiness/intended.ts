import * as z from 'zod';
import { ConfigError, check, type Problem, readYaml } from '../../config/load.ts';
import { serviceName } from '../../config/units.ts';
import { Matcher } from '../policy/matcher.ts';
import { parseRule, type Rule } from '../policy/rule.ts';
import { reasonNames } from '../terms/call-record.ts';
import type { Reason } from '../terms/reasons.ts';

const intendedSchema = z.strictObject({
  intended: z.array(
    z.strictObject({
      callee: serviceName,
      /** Methods and path, as in authorization.yaml. */
      request: z.string(),
      /** A proven caller; without it only calls match whose caller proved nothing. */
      caller: serviceName.optional(),
      reason: z
        .enum(reasonNames as [Reason, ...Reason[]], { error: 'a reason that operate.md names' })
        .optional(),
      why: z.string().min(1, { error: 'why these calls may be refused' }),
    }),
  ),
});

/** Calls that the enforcing binary is meant to refuse: they do not stand in the way of enforcing. */
export interface Intended {
  readonly callee: string;
  readonly caller: string | undefined;
  readonly reason: Reason | undefined;
  readonly request: string;
  readonly why: string;
  matches(method: string, path: string): boolean;
}

/** Reads a file of intended refusals. @throws {ConfigError} */
export async function loadIntended(file: string): Promise<Intended[]> {
  const source = await readYaml(file);
  const { intended } = check(source, intendedSchema);
  const problems: Problem[] = [];
  const loaded = intended.map(({ callee, caller, reason, request, why }, index): Intended => {
    const rule = parseRule(request);
    if ('found' in rule) {
      const path = ['intended', index, 'request'];
      problems.push({ file, ...source.place(path), path: path.join('.'), ...rule });
    }
    const matcher = new Matcher('found' in rule ? [] : [rule satisfies Rule]);
    return {
      callee,
      caller,
      reason,
      request,
      why,
      matches: (method, path) => matcher.match(method, path) !== undefined,
    };
  });
  if (problems.length > 0) throw new ConfigError(problems);
  return loaded;
}
