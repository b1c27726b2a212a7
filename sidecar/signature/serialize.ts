import type { Item, Member, Parameter } from './structured-fields.ts';

/** Parameters as RFC 9651 §4.1.1.2 writes them: `;a=1;b`. */
export function serializeParams(params: readonly Parameter[]): string {
  let text = '';
  for (const { key, type, text: value } of params)
    text += type === 'boolean' && value === '?1' ? `;${key}` : `;${key}=${value}`;
  return text;
}

/** An inner list without its parameters (RFC 9651 §4.1.1.1): `("a" "b";c)`. */
export function serializeItems(items: readonly Item[]): string {
  return `(${items.map(serializeItem).join(' ')})`;
}

export function serializeItem(item: Item): string {
  return item.text + serializeParams(item.params);
}

/** A member of a list or dictionary, without its key. */
export function serializeMember(member: Member): string {
  if (member.items === undefined) return serializeItem(member);
  return serializeItems(member.items) + serializeParams(member.params);
}

/** RFC 9651 §4.1.1. */
export function serializeList(members: readonly Member[]): string {
  return members.map(serializeMember).join(', ');
}

/** RFC 9651 §4.1.2: a true boolean is its key alone. */
export function serializeDictionary(members: ReadonlyMap<string, Member>): string {
  const parts: string[] = [];
  for (const [key, member] of members) {
    const bare = member.items === undefined && member.type === 'boolean' && member.text === '?1';
    parts.push(bare ? key + serializeParams(member.params) : `${key}=${serializeMember(member)}`);
  }
  return parts.join(', ');
}

/** The value of an sf-string by its canonical text. */
export function stringValue(text: string): string {
  const inner = text.slice(1, -1);
  return inner.includes('\\') ? inner.replace(/\\(.)/g, '$1') : inner;
}

/** An sf-string of printable ASCII. @throws {RangeError} for anything else. */
export function serializeString(value: string): string {
  if (!/^[\x20-\x7e]*$/.test(value)) throw new RangeError('a structured field string is printable ASCII');
  return `"${value.replace(/[\\"]/g, '\\$&')}"`;
}
