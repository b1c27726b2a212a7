import type { SignableRequest } from '../signature/message.ts';
import { fieldId, fieldNames, type KnownField } from './field-names.ts';

/** Most fields that any head may have, whatever `limits.headers` says. */
export const mostFields = 1000;

/**
 * A request head: its bytes as one latin1 string, and offsets into that.
 *
 * One instance serves every request of a parser in turn, so whoever needs it beyond the current turn of the
 * event loop takes a `copy()`.
 */
export class RequestHead implements SignableRequest {
  /** Request line through the empty line. */
  text = '';
  method = '';
  target = '';
  path = '/';
  /** With its `?`; `?` alone when the target has none. */
  query = '?';
  authority = '';
  readonly scheme = 'http';
  minorVersion = 1;
  fieldCount = 0;
  /** Four numbers a field: name start, name end, value start, value end (the value without outer white space). */
  offsets = new Int32Array(4 * mostFields);
  /** Per field: its number in `fieldNames`, 0 for any other name. */
  ids = new Uint8Array(mostFields);
  /** Per known field: index of its first line plus one; 0 when absent. */
  firstOf = new Uint16Array(fieldNames.length);
  /** Per known field: how many lines it has. */
  countOf = new Uint16Array(fieldNames.length);
  /** Fields of the trailer section, lower-case name to combined value, once they have arrived. */
  trailers: ReadonlyMap<string, string> | undefined;

  /** The combined value of a field by its number in `fieldNames`; undefined when absent. */
  known(id: number): string | undefined {
    const count = this.countOf[id];
    if (count === 0) return undefined;
    const first = (this.firstOf[id] as number) - 1;
    const value = this.value(first);
    if (count === 1) return value;
    let combined = value;
    for (let i = first + 1; i < this.fieldCount; i++)
      if (this.ids[i] === id) combined += `, ${this.value(i)}`;
    return combined;
  }

  /** The value of the field line at `index`, without outer white space. */
  value(index: number): string {
    return this.text.slice(this.offsets[4 * index + 2], this.offsets[4 * index + 3]);
  }

  /** The name of the field line at `index`, as sent. */
  name(index: number): string {
    return this.text.slice(this.offsets[4 * index], this.offsets[4 * index + 1]);
  }

  field(name: string): string | undefined {
    const id = fieldId[name as KnownField];
    if (id !== undefined) return this.known(id);
    const lines = this.fieldLines(name);
    return lines.length === 0 ? undefined : lines.join(', ');
  }

  fieldLines(name: string): readonly string[] {
    const lines: string[] = [];
    for (let i = 0; i < this.fieldCount; i++) {
      const length = (this.offsets[4 * i + 1] as number) - (this.offsets[4 * i] as number);
      if (length === name.length && this.name(i).toLowerCase() === name) lines.push(this.value(i));
    }
    return lines;
  }

  trailer(name: string): string | undefined {
    return this.trailers?.get(name);
  }

  /** A head of its own, for work that outlives the current turn of the event loop. */
  copy(): RequestHead {
    const copy = Object.create(RequestHead.prototype) as RequestHead;
    Object.assign(copy, this);
    copy.offsets = this.offsets.slice(0, 4 * this.fieldCount);
    copy.ids = this.ids.slice(0, this.fieldCount);
    copy.firstOf = this.firstOf.slice();
    copy.countOf = this.countOf.slice();
    return copy;
  }
}
