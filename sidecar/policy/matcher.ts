import type { Rule } from './rule.ts';

/** Rules that end at one place of the tree, by method. */
interface Leaf {
  readonly rules: Rule[];
  any: Rule | undefined;
  readonly byMethod: Map<string, Rule>;
}

interface Branch {
  /** By hash of the segment: to look a piece of a path up as text would make a string of it and intern it. */
  literals: Map<number, Literal[]> | undefined;
  star: Branch | undefined;
  end: Leaf | undefined;
  /** Rules whose `**` stands here. */
  tail: Leaf | undefined;
}

interface Literal {
  readonly segment: string;
  readonly branch: Branch;
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
    } else at = literalOf(at, segment) ?? addLiteral(at, segment);
  }
  const leaf: Leaf = (rule.tail ? at.tail : at.end) ?? { rules: [], any: undefined, byMethod: new Map() };
  if (rule.tail) at.tail = leaf;
  else at.end = leaf;
  leaf.rules.push(rule);
  if (rule.methods === '*') leaf.any = rule;
  else for (const method of rule.methods) if (!leaf.byMethod.has(method)) leaf.byMethod.set(method, rule);
}

// FNV-1a, of 32 bits.
const emptyHash = 0x811c9dc5 | 0;
const hashOn = (hash: number, code: number) => Math.imul(hash ^ code, 0x01000193);

function hashOf(segment: string): number {
  let hash = emptyHash;
  for (let i = 0; i < segment.length; i++) hash = hashOn(hash, segment.charCodeAt(i));
  return hash;
}

function addLiteral(at: Branch, segment: string): Branch {
  at.literals ??= new Map();
  const hash = hashOf(segment);
  const added = { segment, branch: branch() };
  at.literals.set(hash, [...(at.literals.get(hash) ?? []), added]);
  return added.branch;
}

/** The branch of the literal segment that stands in a text. */
function literal(at: Branch, hash: number, text: string, from: number, to: number): Branch | undefined {
  const sharing = at.literals?.get(hash);
  if (sharing === undefined) return undefined;
  for (const { segment, branch } of sharing)
    if (segment.length === to - from && text.startsWith(segment, from)) return branch;
  return undefined;
}

const literalOf = (at: Branch, segment: string) => literal(at, hashOf(segment), segment, 0, segment.length);

function walk(at: Branch, method: string, path: string, from: number): Rule | undefined {
  if (from > path.length) return choose(at.end, method) ?? choose(at.tail, method);
  let hash = emptyHash;
  let to = from;
  for (; to < path.length; to++) {
    const code = path.charCodeAt(to);
    if (code === 0x2f) break;
    hash = hashOn(hash, code);
  }
  const next = literal(at, hash, path, from, to);
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
  const next = segment === '*' ? undefined : literalOf(at, segment);
  const byLiteral = next && covering(next, rule, index + 1);
  if (byLiteral !== undefined) return byLiteral;
  return at.star !== undefined && segment !== '' ? covering(at.star, rule, index + 1) : undefined;
}

function coveringLeaf(leaf: Leaf | undefined, rule: Rule): Rule | undefined {
  return leaf?.rules.find(({ methods }) => {
    if (methods === '*') return true;
    return rule.methods !== '*' && rule.methods.every((method) => methods.includes(method));
  });
}
