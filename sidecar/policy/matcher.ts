import type { Rule } from './rule.ts';

/** Rules that end at one place of the tree, by method. */
interface Leaf {
  readonly rules: Rule[];
  any: Rule | undefined;
  readonly byMethod: Map<string, Rule>;
}

interface Branch {
  literals: Map<string, Branch> | undefined;
  star: Branch | undefined;
  end: Leaf | undefined;
  /** Rules whose `**` stands here. */
  tail: Leaf | undefined;
}

/**
 * The rules of one caller, compiled to a tree of path segments: matching walks the path, however many rules lie
 * beside it.
 */
export class Matcher {
  readonly rules: readonly Rule[];
  readonly #root: Branch = branch();

  /**
   * @param rules in the order of the file
   * @param onCovered called for a rule that an earlier one covers wholly; such a rule is left out
   */
  constructor(rules: readonly Rule[], onCovered?: (rule: Rule, by: Rule) => void) {
    this.rules = rules;
    for (const rule of rules) {
      const by = covering(this.#root, rule, 0);
      if (by === undefined) insert(this.#root, rule);
      else onCovered?.(rule, by);
    }
  }

  /** The rule that allows a call; the most specific one if several do. `path` is taken literally. */
  match(method: string, path: string): Rule | undefined {
    return path.charCodeAt(0) === 0x2f ? walk(this.#root, method, path, 1) : undefined;
  }
}

function branch(): Branch {
  return { literals: undefined, star: undefined, end: undefined, tail: undefined };
}

function insert(root: Branch, rule: Rule): void {
  let at = root;
  for (const segment of rule.segments) {
    if (segment === '*') {
      at.star ??= branch();
      at = at.star;
    } else {
      at.literals ??= new Map();
      const next = at.literals.get(segment) ?? branch();
      at.literals.set(segment, next);
      at = next;
    }
  }
  const leaf: Leaf = (rule.tail ? at.tail : at.end) ?? { rules: [], any: undefined, byMethod: new Map() };
  if (rule.tail) at.tail = leaf;
  else at.end = leaf;
  leaf.rules.push(rule);
  if (rule.methods === '*') leaf.any = rule;
  else for (const method of rule.methods) if (!leaf.byMethod.has(method)) leaf.byMethod.set(method, rule);
}

function walk(at: Branch, method: string, path: string, from: number): Rule | undefined {
  if (from > path.length) return choose(at.end, method) ?? choose(at.tail, method);
  const slash = path.indexOf('/', from);
  const to = slash === -1 ? path.length : slash;
  const next = at.literals?.get(path.slice(from, to));
  let rule: Rule | undefined;
  if (next !== undefined) rule = walk(next, method, path, to + 1);
  if (rule === undefined && at.star !== undefined && to > from) rule = walk(at.star, method, path, to + 1);
  return rule ?? choose(at.tail, method);
}

function choose(leaf: Leaf | undefined, method: string): Rule | undefined {
  return leaf === undefined ? undefined : (leaf.byMethod.get(method) ?? leaf.any);
}

/** An earlier rule that matches everything the given one does. */
function covering(at: Branch, rule: Rule, index: number): Rule | undefined {
  const byTail = coveringLeaf(at.tail, rule);
  if (byTail !== undefined) return byTail;
  const segment = rule.segments[index];
  if (segment === undefined) return rule.tail ? undefined : coveringLeaf(at.end, rule);
  const literal = segment === '*' ? undefined : at.literals?.get(segment);
  const byLiteral = literal && covering(literal, rule, index + 1);
  if (byLiteral !== undefined) return byLiteral;
  return at.star !== undefined && segment !== '' ? covering(at.star, rule, index + 1) : undefined;
}

function coveringLeaf(leaf: Leaf | undefined, rule: Rule): Rule | undefined {
  return leaf?.rules.find(({ methods }) => {
    if (methods === '*') return true;
    return rule.methods !== '*' && rule.methods.every((method) => methods.includes(method));
  });
}
