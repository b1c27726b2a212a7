import { authorize } from '../policy/authorize.ts';
import { nearestRules } from '../policy/nearest.ts';
import { readPath } from '../policy/paths.ts';
import { type OpenedMatrix, placeOf } from './open-matrix.ts';

/** A call that somebody might make. */
export interface Question {
  /** Undefined for one that proves nothing. */
  readonly caller: string | undefined;
  readonly method: string;
  readonly callee: string;
  /** Raw, without the query. */
  readonly path: string;
}

/** A rule that does not allow the call, and in what they differ. */
export interface Near {
  readonly rule: string;
  readonly place: string;
  readonly expected: string;
  readonly received: string;
}

/** Whether a call is allowed: the document of `countersign matrix explain --json` and the console. */
export interface Explanation {
  readonly allowed: boolean;
  readonly rule?: string;
  readonly place?: string;
  readonly reason?: string;
  readonly detail?: string;
  readonly readings?: readonly string[];
  readonly nearest?: readonly Near[];
  readonly notes: readonly string[];
}

/** Says which rule allows a call, or which come nearest and why they do not. */
export function explainCall(opened: OpenedMatrix, { caller, method, callee, path }: Question): Explanation {
  const rules = opened.matrix.of(callee);
  const notes = notesOn(opened, caller, callee, method);
  const result = authorize(rules, caller, method, path);
  if (result.kind !== 'denied') {
    const rule =
      rules.public.match(method, path) ??
      (caller === undefined ? undefined : rules.callers.get(caller)?.match(method, path));
    const place = rule === undefined ? {} : { place: placeOf(opened, callee, rule) };
    return { allowed: true, rule: result.rule, ...place, notes };
  }
  const { reason, detail } = result.denial;
  const read = readPath(path);
  const readings = read.ambiguous || read.readings.length === 1 ? {} : { readings: read.readings };
  const nearest = read.ambiguous
    ? []
    : nearestRules(rules, caller, method, path).map(({ rule, expected, received }) => ({
        rule: rule.label,
        place: placeOf(opened, callee, rule),
        expected,
        received,
      }));
  return { allowed: false, reason, detail, ...readings, nearest, notes };
}

function notesOn(
  { fleet }: OpenedMatrix,
  caller: string | undefined,
  callee: string,
  method: string,
): string[] {
  const notes: string[] = [];
  for (const name of new Set([caller, callee])) {
    if (name !== undefined && fleet !== undefined && !fleet.services.has(name))
      notes.push(`fleet.yaml names no service ${name}: there are ${[...fleet.services.keys()].join(', ')}`);
  }
  if (method !== method.toUpperCase())
    notes.push(`methods are case-sensitive: ${method} is not ${method.toUpperCase()}`);
  return notes;
}
