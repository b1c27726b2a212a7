import { authorize } from '../policy/authorize.ts';
import type { Matrix } from '../policy/matrix.ts';
import type { ObservedCall } from '../policy/observed-call.ts';

/** Calls that one matrix allows and the other denies. */
export interface ChangedCall {
  /** Undefined for calls that nobody proved to have made: only public routes are open to those. */
  readonly caller: string | undefined;
  readonly callee: string;
  readonly method: string;
  readonly path: string;
  readonly example: string;
  readonly count: number;
  readonly last: string;
  /** The rule that allows the call, of the matrix that does. */
  readonly rule: string;
  /** Why the other one does not. */
  readonly detail: string;
}

export interface Comparison {
  readonly allowed: readonly ChangedCall[];
  readonly denied: readonly ChangedCall[];
  /** Calls replayed. */
  readonly replayed: number;
  /** Rules that only one of the two has, as `callee ← caller: METHOD /path`. */
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

/** What a changed matrix would newly allow and newly deny of the calls that were seen. */
export function compareMatrices(before: Matrix, after: Matrix, calls: Iterable<ObservedCall>): Comparison {
  const allowed = new Map<string, ChangedCall>();
  const denied = new Map<string, ChangedCall>();
  let replayed = 0;
  for (const call of calls) {
    replayed += call.count;
    const was = authorize(before.of(call.callee), call.caller, call.method, call.example);
    const is = authorize(after.of(call.callee), call.caller, call.method, call.example);
    if (was.kind === 'denied' && is.kind !== 'denied') add(allowed, call, is.rule, was.denial.detail);
    if (was.kind !== 'denied' && is.kind === 'denied') add(denied, call, was.rule, is.denial.detail);
  }
  const [old, now] = [labels(before), labels(after)];
  return {
    allowed: [...allowed.values()],
    denied: [...denied.values()],
    replayed,
    added: [...now].filter((label) => !old.has(label)),
    removed: [...old].filter((label) => !now.has(label)),
  };
}

function add(changes: Map<string, ChangedCall>, call: ObservedCall, rule: string, detail: string): void {
  const { caller, callee, method, template, example, count, last } = call;
  const key = `${callee}\n${caller ?? ''}\n${method}\n${template}\n${rule}`;
  const known = changes.get(key);
  changes.set(key, {
    caller,
    callee,
    method,
    path: template,
    example,
    count: count + (known?.count ?? 0),
    last: known !== undefined && known.last > last ? known.last : last,
    rule,
    detail,
  });
}

function labels(matrix: Matrix): Set<string> {
  const found = new Set<string>();
  for (const { service, public: open, callers } of matrix.services.values()) {
    for (const matcher of [open, ...callers.values()])
      for (const rule of matcher.rules) found.add(`${service} ← ${rule.label}`);
  }
  return found;
}
