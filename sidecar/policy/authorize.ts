import type { Denial } from '../terms/verdict.ts';
import type { ServiceRules } from './matrix.ts';
import { describeNearest, nearestRules } from './nearest.ts';
import { isPlainPath, readPath } from './paths.ts';

/** What the matrix says of a call. `rule` names the rule that allows it, as `caller: METHOD /path`. */
export type Authorization =
  | { readonly kind: 'public' | 'allowed'; readonly rule: string }
  | { readonly kind: 'denied'; readonly denial: Denial };

const longestShown = 200;

/**
 * The rule that lets anybody make a call, without a signature; undefined when there is none. A path with several
 * readings is public only if each of them is.
 */
export function isPublic(rules: ServiceRules, method: string, path: string): string | undefined {
  if (isPlainPath(path)) return rules.public.match(method, path)?.label;
  const read = readPath(path);
  if (read.ambiguous) return undefined;
  if (!read.readings.every((reading) => rules.public.match(method, reading) !== undefined)) return undefined;
  return rules.public.match(method, path)?.label;
}

/**
 * Whether the matrix allows a call. Pure; a plain path costs one walk of the tree.
 *
 * @param caller who the MAC proved to be calling; undefined when nobody is proven
 * @param path the raw path, without its query
 */
export function authorize(
  rules: ServiceRules,
  caller: string | undefined,
  method: string,
  path: string,
): Authorization {
  const own = caller === undefined ? undefined : rules.callers.get(caller);
  if (isPlainPath(path)) {
    const rule = rules.public.match(method, path) ?? own?.match(method, path);
    if (rule === undefined) return { kind: 'denied', denial: notAuthorized(rules, caller, method, path) };
    return { kind: rule.caller === undefined ? 'public' : 'allowed', rule: rule.label };
  }
  const read = readPath(path);
  if (read.ambiguous) return { kind: 'denied', denial: ambiguous(path, read.found) };
  const open = read.readings.map((reading) => rules.public.match(method, reading));
  if (open[0] !== undefined && !open.includes(undefined)) return { kind: 'public', rule: open[0].label };
  const allowing = read.readings.map((reading, index) => own?.match(method, reading) ?? open[index]);
  if (allowing[0] !== undefined && !allowing.includes(undefined))
    return { kind: 'allowed', rule: allowing[0].label };
  if (read.readings.length === 1)
    return { kind: 'denied', denial: notAuthorized(rules, caller, method, path) };
  return { kind: 'denied', denial: severalReadings(rules, caller, method, read.readings, allowing) };
}

/** The denial of a call that no rule allows: default deny, with the rules that come nearest. */
function notAuthorized(
  rules: ServiceRules,
  caller: string | undefined,
  method: string,
  path: string,
): Denial {
  const section = `services.${rules.service}.${caller === undefined ? 'public' : `callers.${caller}`}`;
  const refused = `${caller ?? 'a caller without a proven name'} may not call ${method} ${shown(path)} on ${rules.service}`;
  const nearest = nearestRules(rules, caller, method, path);
  const first = nearest[0];
  if (first === undefined) {
    return {
      reason: 'not-authorized',
      detail: `${refused}: authorization.yaml has no rule at all for ${rules.service}, and what no rule allows is denied`,
      rule: 'default deny',
      expected: `a rule under ${section}`,
      received: `${method} ${shown(path)}`,
    };
  }
  return {
    reason: 'not-authorized',
    detail: `${refused}: no rule allows it. Nearest: ${nearest.map(describeNearest).join('; ')}. If it should be allowed, add a rule under ${section}`,
    rule: first.rule.label,
    expected: first.expected,
    received: first.received,
  };
}

function ambiguous(path: string, found: string): Denial {
  return {
    reason: 'ambiguous-path',
    detail: `the path ${shown(path)} holds ${found}: servers disagree on what it means. Send the path that is meant`,
    rule: 'every path must have one reading, or be allowed in all of them',
    expected:
      'a path without dot segments, backslashes, control or raw non-ASCII bytes, in valid percent-encoding',
    received: found,
  };
}

function severalReadings(
  rules: ServiceRules,
  caller: string | undefined,
  method: string,
  readings: readonly [string, ...string[]],
  allowing: readonly ({ readonly label: string } | undefined)[],
): Denial {
  const told = readings.map((reading, index) => {
    const rule = allowing[index];
    return `${shown(reading)} (${rule === undefined ? 'not allowed' : rule.label})`;
  });
  const refused = readings[allowing.indexOf(undefined)] as string;
  const nearest = nearestRules(rules, caller, method, refused)[0];
  return {
    reason: 'ambiguous-path',
    detail: `the path can be read as ${told.join(', ')}: the matrix must allow every reading`,
    rule: nearest?.rule.label ?? 'default deny',
    expected: `a rule for ${caller ?? 'everybody'} that allows ${method} ${shown(refused)}`,
    received: `${method} ${shown(readings[0])}`,
  };
}

function shown(path: string): string {
  return JSON.stringify(path.length > longestShown ? `${path.slice(0, longestShown)}…` : path);
}
