import { fieldNames } from '../terms/field-names.ts';
import { memory } from './llhttp.ts';

const tableBytes = 1024;
const nameBytes = fieldNames.map((name) => Buffer.from(name, 'latin1'));

/** Multipliers that send every known name to a slot of its own: found once, at load. */
const { table, firstFactor, middleFactor } = buildTable();

function slotOf(length: number, first: number, middle: number, last: number, f1: number, f2: number): number {
  return (length + (first | 0x20) * f1 + (middle | 0x20) * f2 + (last | 0x20)) & (tableBytes - 1);
}

function buildTable() {
  for (let f1 = 1; f1 < 200; f1++) {
    for (let f2 = 1; f2 < 200; f2++) {
      const slots = new Uint8Array(tableBytes);
      const fits = nameBytes.every((name, id) => {
        if (id === 0) return true;
        const { length } = name;
        const slot = slotOf(length, name[0]!, name[length >> 1]!, name[length - 1]!, f1, f2);
        if (slots[slot] !== 0) return false;
        slots[slot] = id;
        return true;
      });
      if (fits) return { table: slots, firstFactor: f1, middleFactor: f2 };
    }
  }
  throw new Error('two known field names share length, first, middle and last character');
}

/** The number of the field whose name stands at an address of llhttp's memory; 0 when it is not a known one. */
export function identify(at: number, length: number): number {
  const bytes = memory;
  const last = bytes[at + length - 1]!;
  const id = table[slotOf(length, bytes[at]!, bytes[at + (length >> 1)]!, last, firstFactor, middleFactor)]!;
  const name = nameBytes[id]!;
  if (id === 0 || name.length !== length) return 0;
  for (let i = 0; i < length; i++) {
    const byte = bytes[at + i]!;
    const lower = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
    if (lower !== name[i]) return 0;
  }
  return id;
}

const known = new Set<string>(fieldNames.slice(1));

/** Whether a name that is not a known one itself is a disguise (see `disguisedId`). */
export function isDisguised(name: string): boolean {
  const plain = name.toLowerCase().replaceAll('_', '-');
  return plain.startsWith('x-service-') || known.has(plain);
}
