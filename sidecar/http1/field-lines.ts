import { disguisedId, fieldId, fieldNumber, foldedName, type KnownField } from '../terms/field-names.ts';

/** Most field lines that a head which is received may have; `limits.headers` may allow fewer to requests. */
export const mostReceived = 1000;
/** Most field lines of any head: those that a sidecar adds come on top. */
export const mostFields = mostReceived + 10;

/**
 * The field lines of a head: its bytes as one latin1 string, and offsets into that.
 *
 * One instance serves every message of a parser in turn, so whoever needs it beyond the current turn of the
 * event loop takes a copy.
 */
export class FieldLines {
  /** Start line through the empty line. */
  text = '';
  minorVersion = 1;
  fieldCount = 0;
  /** Four numbers a line: name start, name end, value start, value end (the value without outer white space). */
  readonly offsets: Int32Array;
  /** Per line: its number in `fieldNames`, 0 for any other name. */
  readonly ids: Uint8Array;
  /** Per known field: index of its first line plus one; 0 when absent. */
  readonly firstOf: Uint16Array;
  /** Per known field: how many lines it has. */
  readonly countOf: Uint16Array;

  /** @param most lines that it has room for */
  constructor(most = mostFields) {
    const names = disguisedId + 1;
    // One for all: each is memory outside of the heap, which collections must look after.
    const buffer = new ArrayBuffer(17 * most + 4 * names);
    this.offsets = new Int32Array(buffer, 0, 4 * most);
    this.firstOf = new Uint16Array(buffer, 16 * most, names);
    this.countOf = new Uint16Array(buffer, 16 * most + 2 * names, names);
    this.ids = new Uint8Array(buffer, 16 * most + 4 * names, most);
  }

  /** Forgets all lines. */
  clear(): void {
    const { ids, countOf, fieldCount } = this;
    for (let i = 0; i < fieldCount; i++) countOf[ids[i] as number] = 0;
    this.fieldCount = 0;
  }

  /** The combined value (RFC 9421 §2.1) of a field by its number in `fieldNames`; undefined when absent. */
  known(id: number): string | undefined {
    const count = this.countOf[id];
    if (count === 0) return undefined;
    const first = (this.firstOf[id] as number) - 1;
    const value = this.value(first);
    if (count === 1) return value;
    let combined = value;
    for (let i = first + 1; i < this.fieldCount; i++) {
      if (this.ids[i] === id) combined += `, ${this.value(i)}`;
    }
    return combined;
  }

  /** The value of the line at `index`, without outer white space. */
  value(index: number): string {
    return this.text.slice(this.offsets[4 * index + 2], this.offsets[4 * index + 3]);
  }

  /** The name of the line at `index`, as sent. */
  name(index: number): string {
    return this.text.slice(this.offsets[4 * index], this.offsets[4 * index + 1]);
  }

  /** The combined value of a field by its lower-case name; undefined when absent. */
  field(name: string): string | undefined {
    const id = fieldNumber(name);
    if (id !== 0) return this.known(id);
    const lines = this.fieldLines(name);
    return lines.length === 0 ? undefined : lines.join(', ');
  }

  /** The value of every line of a field, in order. */
  fieldLines(name: string): readonly string[] {
    const lines: string[] = [];
    for (let i = 0; i < this.fieldCount; i++) {
      const length = (this.offsets[4 * i + 1] as number) - (this.offsets[4 * i] as number);
      if (length === name.length && this.name(i).toLowerCase() === name) lines.push(this.value(i));
    }
    return lines;
  }

  /**
   * The lines as they stood, less those to drop, each with its CRLF.
   *
   * @param drop by number in `fieldNames`: 1 drops the field
   * @param named further lower-case names to drop, those that Connection lists
   */
  keptLines(drop: Uint8Array, named: ReadonlySet<string> | undefined): string {
    const { text, offsets, ids, fieldCount } = this;
    let kept = '';
    let runStart = -1;
    for (let i = 0; i < fieldCount; i++) {
      const dropped = drop[ids[i] as number] === 1 || (named?.has(this.name(i).toLowerCase()) ?? false);
      if (!dropped) {
        if (runStart < 0) runStart = offsets[4 * i] as number;
      } else if (runStart >= 0) {
        kept += text.slice(runStart, offsets[4 * i]);
        runStart = -1;
      }
    }
    return runStart < 0 ? kept : kept + text.slice(runStart, text.length - 2);
  }

  /** Marks the lines of a known field as ones that `keptLines` drops, as if they had not been sent. */
  discard(id: number): void {
    for (let i = 0; i < this.fieldCount; i++) if (this.ids[i] === id) this.ids[i] = disguisedId;
    this.countOf[id] = 0;
  }

  /**
   * Marks as never to be passed on each line whose name is not one of these and folds to one: a server in front of CGI
   * would take it for that field.
   *
   * @param names in lower case
   */
  discardLookalikes(names: readonly string[]): void {
    if (names.length === 0) return;
    const { ids, offsets } = this;
    for (let i = 0; i < this.fieldCount; i++) {
      const length = (offsets[4 * i + 1] as number) - (offsets[4 * i] as number);
      if (ids[i] !== 0 || !names.some((name) => name.length === length)) continue;
      const name = this.name(i).toLowerCase();
      const folded = foldedName(name);
      if (names.some((other) => other !== name && foldedName(other) === folded)) ids[i] = disguisedId;
    }
  }

  /** Writes these lines into a copy that has room for them. */
  protected copyLines(copy: FieldLines): void {
    const { fieldCount, offsets, ids, firstOf, countOf } = this;
    copy.text = this.text;
    copy.minorVersion = this.minorVersion;
    copy.fieldCount = fieldCount;
    for (let i = 0; i < 4 * fieldCount; i++) copy.offsets[i] = offsets[i] as number;
    for (let i = 0; i < fieldCount; i++) copy.ids[i] = ids[i] as number;
    for (let id = 0; id <= disguisedId; id++) {
      copy.firstOf[id] = firstOf[id] as number;
      copy.countOf[id] = countOf[id] as number;
    }
  }
}

/** A table for `keptLines`. Disguised names are dropped always. */
export function dropTable(...names: readonly KnownField[]): Uint8Array {
  const table = new Uint8Array(disguisedId + 1);
  table[disguisedId] = 1;
  for (const name of names) table[fieldId[name]] = 1;
  return table;
}
