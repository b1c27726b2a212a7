import type { Fleet } from '../config/fleet.ts';
import { authorize } from '../policy/authorize.ts';
import { Matcher } from '../policy/matcher.ts';
import type { Matrix } from '../policy/matrix.ts';
import type { ObservedCall } from '../policy/observed-call.ts';
import { parseRule, type Rule } from '../policy/rule.ts';

/** A rule that would allow calls which were seen, came from a proven caller, and are denied today. */
export interface Proposal {
  readonly callee: string;
  readonly caller: string;
  /** As it would stand in authorization.yaml. */
  readonly rule: string;
  /** Calls seen that need it. */
  readonly count: number;
  readonly last: string;
  readonly example: string;
}

/** Denied calls for which no rule is proposed, and why. */
export interface Withheld {
  readonly callee: string;
  readonly caller: string | undefined;
  readonly method: string;
  readonly path: string;
  readonly count: number;
  readonly why: string;
}

export interface Suggestion {
  readonly proposals: readonly Proposal[];
  readonly withheld: readonly Withheld[];
}

interface Needed {
  readonly callee: string;
  readonly caller: string;
  readonly template: string;
  readonly methods: Set<string>;
  readonly calls: ObservedCall[];
}

/**
 * The fewest rules that would allow what was denied to proven callers. Nothing is proposed for callers that proved
 * nothing, for ambiguous paths, or for calls that the matrix allows by now.
 */
export function suggest(calls: Iterable<ObservedCall>, matrix: Matrix, fleet?: Fleet): Suggestion {
  const withheld: Withheld[] = [];
  const needed = new Map<string, Needed>();
  for (const call of calls) {
    if (call.reason === '') continue;
    const why = obstacle(call, fleet);
    if (why !== undefined) {
      const { callee, caller, method, template, count } = call;
      withheld.push({ callee, caller, method, path: template, count, why });
      continue;
    }
    const caller = call.caller as string;
    // The template itself: an asterisk in a path is matched by an asterisk in a rule alone.
    if (authorize(matrix.of(call.callee), caller, call.method, call.template).kind !== 'denied') continue;
    const key = `${call.callee}\n${caller}\n${call.template}`;
    const { callee, template } = call;
    const found = needed.get(key) ?? { callee, caller, template, methods: new Set(), calls: [] };
    found.methods.add(call.method);
    found.calls.push(call);
    needed.set(key, found);
  }
  return { proposals: propose([...needed.values()], matrix), withheld };
}

function obstacle(
  { caller, callee, method, template, example, reason }: ObservedCall,
  fleet?: Fleet,
): string | undefined {
  if (caller === undefined) return 'no valid signature proves who called';
  if (reason === 'ambiguous-path')
    return 'the path can be read in more than one way: the caller must send another';
  if (reason !== 'not-authorized') return `denied for ${reason}, which no rule changes`;
  if (fleet !== undefined && !fleet.services.has(caller)) return `fleet.yaml names no ${caller}`;
  if (fleet !== undefined && !fleet.services.has(callee)) return `fleet.yaml names no ${callee}`;
  // A single asterisk also stands for a segment that may be a secret, such as an id: documents do not show those.
  if (/\/\*{2,}(?:\/|$)/.test(example))
    return 'a rule cannot name a segment of asterisks without allowing others';
  const rule = parseRule(`${method} ${template}`, caller);
  if ('found' in rule) return `no rule can say it: found ${rule.found}`;
  // `*` is a method that a message may have, and any method in a rule.
  return rule.methods === '*' ? 'no rule can name the method * without allowing all' : undefined;
}

/** Wide rules first, so that what one of them covers is counted to it instead of being proposed beside it. */
function propose(needed: readonly Needed[], matrix: Matrix): Proposal[] {
  const sorted = needed
    .map((need) => ({ need, rule: asRule(need) }))
    .sort(
      (a, b) =>
        order(a.need, b.need) || stars(b.rule) - stars(a.rule) || (a.rule.text < b.rule.text ? -1 : 1),
    );
  const proposals: (Proposal & { readonly parsed: Rule })[] = [];
  for (const { need, rule } of sorted) {
    const count = need.calls.reduce((sum, call) => sum + call.count, 0);
    const newest = need.calls.reduce((a, b) => (newer(a.last, b.last) === a.last ? a : b));
    const pair = proposals.filter(({ callee, caller }) => callee === need.callee && caller === need.caller);
    let by: Rule | undefined;
    new Matcher([...pair.map(({ parsed }) => parsed), rule], (_, covering) => {
      by = covering;
    });
    const wider = pair.find(({ parsed }) => parsed === by);
    if (wider !== undefined) {
      const last = newer(newest.last, wider.last);
      proposals[proposals.indexOf(wider)] = { ...wider, count: wider.count + count, last };
      continue;
    }
    const { callee, caller } = need;
    proposals.push({
      callee,
      caller,
      rule: rule.text,
      count,
      last: newest.last,
      example: newest.example,
      parsed: rule,
    });
  }
  return proposals
    .map(({ parsed: _, ...proposal }) => proposal)
    .sort((a, b) => place(matrix, a.callee) - place(matrix, b.callee));
}

function asRule({ methods, template, caller }: Needed): Rule {
  return parseRule(`${[...methods].sort().join(',')} ${template}`, caller) as Rule;
}

/** The later of two times in RFC 3339, in UTC. */
function newer(a: string, b: string): string {
  return Date.parse(a) < Date.parse(b) ? b : a;
}

function order(a: Needed, b: Needed): number {
  const [one, two] = [`${a.callee}\n${a.caller}`, `${b.callee}\n${b.caller}`];
  return one < two ? -1 : one > two ? 1 : 0;
}

function stars(rule: Rule): number {
  return rule.segments.filter((segment) => segment === '*').length;
}

/** Where a service stands in the file; new ones come last. */
function place(matrix: Matrix, service: string): number {
  const at = [...matrix.services.keys()].indexOf(service);
  return at === -1 ? matrix.services.size : at;
}
