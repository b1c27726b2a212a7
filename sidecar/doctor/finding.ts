/** In the order in which they are told. */
export const groups = [
  'files',
  'permissions',
  'ports',
  'app',
  'proxy',
  'peers',
  'clock',
  'phases and versions',
  'keys and rotation',
  'guard',
  'disk',
] as const;

export type Group = (typeof groups)[number];

/** What a check found out about one thing. */
export type Finding =
  | { readonly result: 'ok'; readonly found?: string }
  /** It could not be found out, or there is nothing to check. */
  | { readonly result: 'skipped'; readonly found: string }
  /** `warning`: worth a look. `failed`: the verdict is no. */
  | { readonly result: 'warning' | 'failed'; readonly found: string; readonly todo: string };

/** One line of the table: a claim that holds on a healthy host, and how it is judged. */
export interface Check<Facts> {
  readonly group: Group;
  /** Stable; `--json` has it. */
  readonly name: string;
  /** A sentence that is true when all is well. */
  readonly claim: string;
  /** Several findings where the claim is about several things; none counts as skipped. */
  judge(facts: Facts): Finding | readonly Finding[];
}

export interface CheckResult {
  readonly group: Group;
  readonly name: string;
  readonly claim: string;
  readonly findings: readonly Finding[];
}

export interface Diagnosis {
  /** No check failed. */
  readonly healthy: boolean;
  readonly checks: readonly CheckResult[];
}

export const ok: Finding = { result: 'ok' };

export function skipped(found: string): Finding {
  return { result: 'skipped', found };
}

export function warning(found: string, todo: string): Finding {
  return { result: 'warning', found, todo };
}

export function failed(found: string, todo: string): Finding {
  return { result: 'failed', found, todo };
}

/** Judges facts by every check of a table. */
export function diagnose<Facts>(checks: readonly Check<Facts>[], facts: Facts): Diagnosis {
  const results = checks.map(({ group, name, claim, judge }): CheckResult => {
    const judged = [judge(facts)].flat();
    return { group, name, claim, findings: judged.length > 0 ? judged : [skipped('nothing to check')] };
  });
  const order = (result: CheckResult) => groups.indexOf(result.group);
  return {
    healthy: results.every(({ findings }) => findings.every(({ result }) => result !== 'failed')),
    checks: results.sort((a, b) => order(a) - order(b)),
  };
}

/** The worst result of a check: what its line shows. */
export function worst({ findings }: CheckResult): Finding['result'] {
  const results = findings.map(({ result }) => result);
  for (const result of ['failed', 'warning', 'ok'] as const) if (results.includes(result)) return result;
  return 'skipped';
}
