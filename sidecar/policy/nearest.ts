import type { ServiceRules } from './matrix.ts';
import type { Rule } from './rule.ts';

/** A rule that does not allow a call, and all in which they differ. */
export interface Nearest {
  readonly rule: Rule;
  /** What the rule asks for, and what the call has: `segment 3 "status"`, `method GET`, `caller main-backend`. */
  readonly expected: string;
  readonly received: string;
}

interface Candidate extends Nearest {
  readonly cost: number;
}

const longestShown = 80;

/**
 * The rules of a service that come nearest to allowing a call that none allows, best first. Linear in the rules of
 * that one service; only denials pay for it.
 *
 * A rule of the caller's own that differs in one thing comes before another caller's that fits.
 */
export function nearestRules(
  rules: ServiceRules,
  caller: string | undefined,
  method: string,
  path: string,
  most = 3,
): Nearest[] {
  const segments = path.startsWith('/') ? path.slice(1).split('/', 64) : [];
  const candidates: Candidate[] = [];
  const keep = (candidate: Candidate) => {
    let at = candidates.length;
    while (at > 0 && (candidates[at - 1] as Candidate).cost > candidate.cost) at--;
    candidates.splice(at, 0, candidate);
    if (candidates.length > most) candidates.pop();
  };
  const own = caller === undefined ? undefined : rules.callers.get(caller);
  for (const rule of own?.rules ?? []) keep(difference(rule, method, path, segments, caller));
  for (const rule of rules.public.rules) keep(difference(rule, method, path, segments, caller));
  for (const matcher of rules.callers.values()) {
    if (matcher === own) continue;
    for (const rule of matcher.rules) keep(difference(rule, method, path, segments, caller));
  }
  const best = candidates[0]?.cost ?? 0;
  return candidates.filter((candidate) => candidate.cost <= best + 1);
}

/** `main-backend: GET /api/status/* (segment 2 "status", received segment 2 "statuz")` */
export function describeNearest({ rule, expected, received }: Nearest): string {
  const folded = expected.toLowerCase() === received.toLowerCase() ? '; they differ in case only' : '';
  return `"${rule.label}" (expects ${expected}, received ${received}${folded})`;
}

function difference(
  rule: Rule,
  method: string,
  path: string,
  segments: readonly string[],
  caller: string | undefined,
): Candidate {
  const expected: string[] = [];
  const received: string[] = [];
  let cost = 0;
  const paths = pathDifference(rule, segments, path);
  if (paths.expected !== undefined) {
    cost += paths.cost;
    expected.push(paths.expected);
    received.push(paths.received);
  }
  if (rule.methods !== '*' && !rule.methods.includes(method)) {
    cost += 1;
    expected.push(`method ${rule.methods.join(' or ')}`);
    received.push(`method ${method}`);
  }
  if (rule.caller !== undefined && rule.caller !== caller) {
    cost += 1.5;
    expected.push(`caller ${rule.caller}`);
    received.push(caller === undefined ? 'no proven caller' : `caller ${caller}`);
  }
  return { rule, cost, expected: expected.join(' and '), received: received.join(' and ') };
}

/** How far a path is from a pattern, in segments, and where they part. */
function pathDifference(rule: Rule, segments: readonly string[], path: string) {
  let cost = 0;
  let expected: string | undefined;
  let received = '';
  const part = (at: number, wanted: string) => {
    if (expected !== undefined) return;
    expected = wanted;
    received =
      segments[at] === undefined ? `no segment ${at + 1}` : `segment ${at + 1} ${quote(segments[at])}`;
  };
  if (segments.length === 0) {
    return { cost: 10, expected: 'a path that starts with a slash', received: quote(path) };
  }
  for (const [index, wanted] of rule.segments.entries()) {
    const has = segments[index];
    if (has === wanted || (wanted === '*' && has !== undefined && has !== '')) continue;
    cost += has !== undefined && has.toLowerCase() === wanted.toLowerCase() ? 0.5 : 1;
    part(index, `segment ${index + 1} ${wanted === '*' ? 'that is not empty' : quote(wanted)}`);
  }
  const beyond = segments.length - rule.segments.length;
  if (beyond > 0 && !rule.tail) {
    const slash = beyond === 1 && segments.at(-1) === '';
    cost += slash ? 0.5 : beyond;
    part(rule.segments.length, slash ? 'no slash at the end' : `no segment ${rule.segments.length + 1}`);
  }
  return { cost, expected, received };
}

function quote(segment: string): string {
  return JSON.stringify(segment.length > longestShown ? `${segment.slice(0, longestShown)}…` : segment);
}
