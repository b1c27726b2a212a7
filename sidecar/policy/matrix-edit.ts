import { type Document, isMap, isScalar, isSeq, type ToStringOptions, YAMLMap, YAMLSeq } from 'yaml';
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
  const source = parseYaml('', '{}\n');
  source.document.contents = new YAMLMap() as unknown as typeof source.document.contents;
  insertProposals(source.document, proposals);
  return source.document.toString({ lineWidth: 0 });
}

/**
 * The text of authorization.yaml with proposed rules at the end of their callers' lists. Comments and order stay;
 * where the file keeps to one style of indentation, so does every other byte.
 */
export function withProposals(source: Source, proposals: readonly Proposal[]): string {
  const style = styleOf(source);
  const { document } = parseYaml(source.file, source.text);
  insertProposals(document, proposals);
  return document.toString(style);
}

function insertProposals(document: Document, proposals: readonly Proposal[]): void {
  for (const proposal of proposals) {
    const list = listAt(document, ['services', proposal.callee, 'callers', proposal.caller]);
    const node = document.createNode(proposal.rule);
    // In a flow list a comment would force every entry onto a line of its own.
    if (!inFlow(document, proposal)) node.comment = ` ${proposalComment(proposal)}`;
    list.add(node);
  }
}

function listAt(document: Document, path: readonly string[]): YAMLSeq {
  let map = document.contents as unknown as YAMLMap;
  for (const key of path.slice(0, -1)) {
    const next = map.get(key, true);
    if (isMap(next)) {
      map = next;
      continue;
    }
    const added = new YAMLMap();
    set(map, key, added);
    map = added;
  }
  const key = path.at(-1) as string;
  const found = map.get(key, true);
  if (isSeq(found)) return found;
  const list = new YAMLSeq();
  set(map, key, list);
  return list;
}

/** An empty `{}` becomes a block map with its first entry. */
function set(map: YAMLMap, key: string, value: YAMLMap | YAMLSeq): void {
  if (map.items.length === 0) map.flow = false;
  value.flow = map.flow === true;
  const pair = map.items.find((item) => isScalar(item.key) && item.key.value === key);
  if (pair === undefined) map.set(key, value);
  else pair.value = value;
}

function inFlow(document: Document, { callee, caller }: Proposal): boolean {
  const path = ['services', callee, 'callers', caller];
  return path.some((_, index) => {
    const node = document.getIn(path.slice(0, index + 1), true);
    return (isMap(node) || isSeq(node)) && node.flow === true;
  });
}

/** How the file is written, so far as it can be told: the settings that give it back byte for byte. */
function styleOf({ text, document }: Source): ToStringOptions {
  for (const indent of [2, 4, 3]) {
    for (const indentSeq of [true, false]) {
      for (const flowCollectionPadding of [true, false]) {
        const style = { lineWidth: 0, indent, indentSeq, flowCollectionPadding };
        if (document.toString(style) === text) return style;
      }
    }
  }
  return { lineWidth: 0, flowCollectionPadding: /\[ /.test(text) };
}
