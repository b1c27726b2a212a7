import { disguisedId, fieldNames } from '../terms/field-names.ts';
import { memory } from './llhttp.ts';

const tableBytes = 1024;
const nameBytes = fieldNames.map((name) => Buffer.from(name, 'latin1'));
const identityPrefix = Buffer.from('x-service-', 'latin1');
const dash = 0x2d;

/** By byte: what `foldedName` makes of it. */
const folded = Uint8Array.from({ length: 256 }, (_, byte) => {
  const character = String.fromCharCode(byte).toLowerCase();
  return /^[a-z0-9]$/.test(character) ? character.charCodeAt(0) : dash;
});

/** Multipliers that send every known name to a slot of its own: found once, at load. */
const { table, firstFactor, middleFactor } = buildTable();

function slotOf(length: number, first: number, middle: number, last: number, f1: number, f2: number): number {
  return (length + first * f1 + middle * f2 + last) & (tableBytes - 1);
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

/**
 * The number of the field whose name stands at an address of llhttp's memory: 0 when it is not a known one,
 * `disguisedId` when it is an identity field, or only folds to the name of a known one.
 */
export function identify(at: number, length: number): number {
  const bytes = memory;
  const first = folded[bytes[at]!]!;
  const middle = folded[bytes[at + (length >> 1)]!]!;
  const last = folded[bytes[at + length - 1]!]!;
  const id = table[slotOf(length, first, middle, last, firstFactor, middleFactor)]!;
  const name = nameBytes[id]!;
  if (name.length === length && foldsTo(name, at)) return isWritten(name, at) ? id : disguisedId;
  return first === 0x78 && length >= identityPrefix.length && foldsTo(identityPrefix, at) ? disguisedId : 0;
}

function foldsTo(name: Buffer, at: number): boolean {
  for (let i = 0; i < name.length; i++) if (folded[memory[at + i]!] !== name[i]) return false;
  return true;
}

/** Whether a name that folds to a known one has nothing but dashes where that has dashes. */
function isWritten(name: Buffer, at: number): boolean {
  for (let i = 0; i < name.length; i++) if (name[i] === dash && memory[at + i] !== dash) return false;
  return true;
}
