import type { Denial } from '../terms/verdict.ts';
import { type FurtherReadings, isPlainCall, type Reading, readCall, shown } from './call-readings.ts';
import type { ServiceRules } from './matrix.ts';
import { describeNearest, nearestRules } from './nearest.ts';

/** What the matrix says of a call. `rule` names the rule that allows it, as `caller: METHOD /path`. */
export type Authorization =
  | { readonly kind: 'public' | 'allowed'; readonly rule: string }
  | { readonly kind: 'denied'; readonly denial: Denial };

/**
 * The rule that lets anybody make a call, without a signature; undefined when there is none. A call with several
 * readings is public only if each of them is.
 *
 * @param further readings that fields give the call beside its request line
 */
export function isPublic(
  rules: ServiceRules,
  method: string,
  path: string,
  further?: FurtherReadings,
): string | undefined {
  const rule = rules.public.match(method, path);
  if (rule === undefined || isPlainCall(path, further)) return rule?.label;
  const read = readCall(method, path, further);
  const areAllPublic =
    !read.ambiguous &&
    read.readings.every(({ method, path }) => rules.public.match(method, path) !== undefined);
  return areAllPublic ? rule.label : undefined;
}

/**
 * Whether the matrix allows a call. Pure; a plain path costs one walk of the tree.
 *
 * @param caller who the MAC proved to be calling; undefined when nobody is proven
 * @param path the raw path, without its query
 * @param further readings that fields give the call beside its request line: every combination must be allowed
 */
export function authorize(
  rules: ServiceRules,
  caller: string | undefined,
  method: string,
  path: string,
  further?: FurtherReadings,
): Authorization {
  const own = caller === undefined ? undefined : rules.callers.get(caller);
  if (isPlainCall(path, further)) {
    const rule = rules.public.match(method, path) ?? own?.match(method, path);
    if (rule === undefined) return { kind: 'denied', denial: notAuthorized(rules, caller, method, path) };
    return { kind: rule.caller === undefined ? 'public' : 'allowed', rule: rule.label };
  }
  const read = readCall(method, path, further);
  if (read.ambiguous) return { kind: 'denied', denial: ambiguous(read.found) };
  const open = read.readings.map(({ method, path }) => rules.public.match(method, path));
  if (open[0] !== undefined && !open.includes(undefined)) return { kind: 'public', rule: open[0].label };
  const allowing = read.readings.map(({ method, path }, i) => own?.match(method, path) ?? open[i]);
  if (allowing[0] !== undefined && !allowing.includes(undefined))
    return { kind: 'allowed', rule: allowing[0].label };
  if (read.readings.length === 1)
    return { kind: 'denied', denial: notAuthorized(rules, caller, method, path) };
  return { kind: 'denied', denial: severalReadings(rules, caller, read.readings, allowing) };
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

function ambiguous(found: string): Denial {
  return {
    reason: 'ambiguous-path',
    detail: `${found}: servers disagree on what it means. Send the method and the path that are meant`,
    rule: 'every call must have one reading, or be allowed in all of them',
    expected:
      'a path without dot segments, backslashes, control or raw non-ASCII bytes, in valid percent-encoding',
    received: found,
  };
}

function severalReadings(
  rules: ServiceRules,
  caller: string | undefined,
  readings: readonly [Reading, ...Reading[]],
  allowing: readonly ({ readonly label: string } | undefined)[],
): Denial {
  const [first] = readings;
  const isOneMethod = readings.every(({ method }) => method === first.method);
  const told = readings.map(({ method, path }, index) => {
    const rule = allowing[index];
    return `${isOneMethod ? '' : `${method} `}${shown(path)} (${rule === undefined ? 'not allowed' : rule.label})`;
  });
  const refused = readings[allowing.indexOf(undefined)] as Reading;
  const nearest = nearestRules(rules, caller, refused.method, refused.path)[0];
  return {
    reason: 'ambiguous-path',
    detail: `the ${isOneMethod ? 'path' : 'call'} can be read as ${told.join(', ')}: the matrix must allow every reading`,
    rule: nearest?.rule.label ?? 'default deny',
    expected: `a rule for ${caller ?? 'everybody'} that allows ${refused.method} ${shown(refused.path)}`,
    received: `${first.method} ${shown(first.path)}`,
  };
}
