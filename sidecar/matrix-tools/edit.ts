import { isCollection, isMap, isScalar, isSeq, type Node, type YAMLMap, type YAMLSeq } from 'yaml';
import { parseYaml, type Source } from '../../config/load.ts';
import type { Proposal } from './suggest.ts';

/** The comment that marks a proposed rule. */
export function proposalComment({ count, last, example }: Proposal): string {
  const printable = example.replace(/[^!-~]/g, '?');
  const calls = count === 1 ? '1 call' : `${count.toLocaleString('en')} calls`;
  return `${calls}, the last ${last}, such as ${printable.length > 80 ? `${printable.slice(0, 80)}…` : printable}`;
}

/** Proposals as a fragment of authorization.yaml, with counts as comments. */
export function proposalsYaml(proposals: readonly Proposal[]): string {
  return withProposals(parseYaml('', 'services: {}\n'), proposals);
}

/**
 * The text of authorization.yaml with proposed rules at the end of their callers' lists. It is written into the text
 * as it stands: every other byte stays, but for an empty `{}` that gets its first entry. In a flow list a rule has no
 * comment, which would end the line.
 */
export function withProposals({ file, text }: Source, proposals: readonly Proposal[]): string {
  return proposals.reduce((before, proposal) => insert(parseYaml(file, before), proposal), text);
}

type Collection = YAMLMap | YAMLSeq;

function insert({ text, document }: Source, proposal: Proposal): string {
  const path = ['services', proposal.callee, 'callers', proposal.caller];
  let at = document.contents as unknown as YAMLMap;
  const step = stepOf(text, at);
  /** The key whose value `at` is. */
  let key: Node | undefined;
  for (const [depth, name] of path.entries()) {
    const pair = at.items.find((item) => isScalar(item.key) && String(item.key.value) === name);
    const next: unknown = pair?.value;
    if (pair === undefined || !isCollection(next))
      return add(text, at, key, path.slice(depth), proposal, step);
    key = pair.key as Node;
    if (isSeq(next)) return add(text, next, key, [], proposal, step);
    at = next as YAMLMap;
  }
  throw new RangeError(`${path.join('.')} is a mapping, expected a list`);
}

/** Adds what is missing, a rule below the keys of `path`, to the collection that is there. */
function add(
  text: string,
  collection: Collection,
  key: Node | undefined,
  path: readonly string[],
  proposal: Proposal,
  step: number,
): string {
  const [start, end] = rangeOf(collection);
  const opening = columnOf(text, start);
  if (collection.flow !== true) return addLines(text, endOf(collection), opening, path, proposal, step);
  const isEmpty = collection.items.length === 0;
  const keyAt = key === undefined ? undefined : rangeOf(key)[0];
  // Only a key that begins its line can have its value on lines of its own.
  if (isEmpty && keyAt !== undefined && /^ *$/.test(text.slice(lineStart(text, keyAt), keyAt))) {
    if (/^[[{]\s*[\]}]$/.test(text.slice(start, end))) {
      const without = text.slice(0, start).trimEnd() + text.slice(end);
      return addLines(
        without,
        text.slice(0, start).trimEnd().length,
        columnOf(text, keyAt) + step,
        path,
        proposal,
        step,
      );
    }
  }
  const entry = flowEntry(path, proposal.rule);
  if (!isEmpty) return splice(text, endOf(collection), `, ${entry}`);
  return splice(text, start + 1, isMap(collection) ? ` ${entry} ` : entry);
}

function flowEntry([name, ...below]: readonly string[], rule: string): string {
  if (name === undefined) return ruleText(rule, true);
  const value = below.length === 0 ? `[${ruleText(rule, true)}]` : `{ ${flowEntry(below, rule)} }`;
  return `${keyText(name)}: ${value}`;
}

/** Below the line that holds `after`. */
function addLines(
  text: string,
  after: number,
  column: number,
  path: readonly string[],
  proposal: Proposal,
  step: number,
): string {
  const eol = text.includes('\r\n') ? '\r\n' : '\n';
  const keys = path.map((name, depth) => `${' '.repeat(column + step * depth)}${keyText(name)}:`);
  const indent = ' '.repeat(column + step * path.length);
  const lines = [...keys, `${indent}- ${ruleText(proposal.rule, false)} # ${proposalComment(proposal)}`];
  const found = text.indexOf(eol, after);
  if (found === -1) return `${text}${eol}${lines.join(eol)}${eol}`;
  return splice(text, found, `${eol}${lines.join(eol)}`);
}

/** By how much the file indents, seen at its services. */
function stepOf(text: string, whole: YAMLMap): number {
  const services = whole.items[0]?.value;
  if (!isMap(services) || services.flow === true) return 2;
  return columnOf(text, rangeOf(services)[0]) || 2;
}

function ruleText(rule: string, inFlow: boolean): string {
  const plain = inFlow ? /^[A-Z][\w /.~*-]*$/ : /^[A-Z][\w /.~*,+%-]*$/;
  return plain.test(rule) ? rule : JSON.stringify(rule);
}

function keyText(name: string): string {
  return /^(?!(?:true|false|null)$)[a-z][a-z0-9-]*$/.test(name) ? name : JSON.stringify(name);
}

/** Where the last value in a collection ends: what follows it on its line is a comment. */
function endOf(node: Node): number {
  if (!isCollection(node)) return rangeOf(node)[1];
  const last = node.items.at(-1);
  if (last === undefined) return rangeOf(node)[1];
  const inner = (
    isMap(node) ? ((last as { value: unknown }).value ?? (last as { key: unknown }).key) : last
  ) as Node;
  return isCollection(inner) && inner.flow === true ? rangeOf(inner)[1] : endOf(inner);
}

function rangeOf(node: Node): readonly [number, number, number] {
  return node.range as [number, number, number];
}

function lineStart(text: string, offset: number): number {
  return text.lastIndexOf('\n', offset - 1) + 1;
}

function columnOf(text: string, offset: number): number {
  return offset - lineStart(text, offset);
}

function splice(text: string, at: number, added: string): string {
  return text.slice(0, at) + added + text.slice(at);
}
