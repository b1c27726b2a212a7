/** Of a 64-bit little-endian ELF file (elf(5)): offsets in its header and in a section header. */
const header = { sectionOffset: 0x28, sectionSize: 0x3a, sectionCount: 0x3c, nameSection: 0x3e } as const;
const section = {
  name: 0x00,
  type: 0x04,
  flags: 0x08,
  offset: 0x18,
  size: 0x20,
  link: 0x28,
  info: 0x2c,
} as const;
const sectionBytes = 64;
const allocated = 0x2n;
/** It has no bytes in the file (.bss). */
const noBits = 8;
const ident = Buffer.from([0x7f, 0x45, 0x4c, 0x46, 2, 1]);

/**
 * An executable without what only debuggers read: every section behind the last one that is loaded. As `strip` of
 * binutils does, but the same bytes whichever binutils a machine has, and for every processor.
 *
 * @throws {Error} for a file of another form
 */
export function stripElf(file: Buffer): Buffer {
  if (!file.subarray(0, ident.length).equals(ident) || file.readUInt16LE(header.sectionSize) !== sectionBytes)
    throw new Error('found no 64-bit little-endian ELF file, expected an executable of Linux');
  const start = Number(file.readBigUInt64LE(header.sectionOffset));
  const count = file.readUInt16LE(header.sectionCount);
  const sections = Array.from({ length: count }, (_, index) =>
    file.subarray(start + index * sectionBytes, start + (index + 1) * sectionBytes),
  );
  const isLoaded = (at: Buffer) => (at.readBigUInt64LE(section.flags) & allocated) !== 0n;
  const kept = 1 + sections.findLastIndex(isLoaded);
  if (
    kept === 0 ||
    sections.slice(1, kept).some((at) => !isLoaded(at) || at.readUInt32LE(section.link) >= kept)
  )
    throw new Error('found loaded sections among others, expected them first: this file cannot be stripped');
  const end = Math.max(
    ...sections
      .slice(1, kept)
      .map(
        (at) =>
          Number(at.readBigUInt64LE(section.offset)) +
          (at.readUInt32LE(section.type) === noBits ? 0 : Number(at.readBigUInt64LE(section.size))),
      ),
  );
  const names = sections[file.readUInt16LE(header.nameSection)] as Buffer;
  const namesStart = Number(names.readBigUInt64LE(section.offset));
  const texts = file.subarray(namesStart, namesStart + Number(names.readBigUInt64LE(section.size)));
  const table = Buffer.concat([...sections.slice(0, kept), names]);
  table.writeBigUInt64LE(BigInt(end), kept * sectionBytes + section.offset);
  const tableStart = Math.ceil((end + texts.length) / 8) * 8;
  const stripped = Buffer.alloc(tableStart + table.length);
  file.copy(stripped, 0, 0, end);
  texts.copy(stripped, end);
  table.copy(stripped, tableStart);
  stripped.writeBigUInt64LE(BigInt(tableStart), header.sectionOffset);
  stripped.writeUInt16LE(kept + 1, header.sectionCount);
  stripped.writeUInt16LE(kept, header.nameSection);
  return stripped;
}
