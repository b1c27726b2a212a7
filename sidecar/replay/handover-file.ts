import { open } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { replaceFile } from '../files/replace-file.ts';
import { ReplayMemory } from './replay-memory.ts';

const magic = 'countersign-replay 1\n';
/** So much is packed or unpacked before others get their turn: a millisecond or two. */
const chunkBytes = 256 * 1024;
const entryBytes = 16;

/** What the file says before the entries; one line of JSON, its length in bytes before it. */
interface Header {
  /** Key of the hash, base64. */
  readonly secret: string;
  /** Seconds since the epoch up to which everything is refused. */
  readonly horizon: number;
  /** Per key id, up to which `created` it is refused after an earlier crash; and any other key id. */
  readonly refusedTo: Readonly<Record<string, number>>;
  readonly refusedUnmarked: number;
  /** Until then the marks do not tell all that was accepted; 0 when they do. */
  readonly wholeFrom?: number;
  readonly sealedFloor?: number;
  readonly minutes: readonly {
    readonly minute: number;
    readonly entries: number;
    readonly callers: Readonly<Record<string, number>>;
  }[];
}

/** What the process before could not know, in seconds since the epoch; 0 for none. */
export interface HandoverLimits {
  /** What a key id without a mark is refused up to. */
  readonly refusedUnmarked: number;
  /** See `DurableMarks`. */
  readonly wholeFrom: number;
}

export interface Handover {
  readonly memory: ReplayMemory;
  readonly refusedTo: ReadonlyMap<string, number>;
  readonly limits: HandoverLimits;
}

/** Writes a closed memory for the process that comes next; when this resolves, the file survives a crash. */
export function writeHandover(file: string, memory: ReplayMemory, limits: HandoverLimits): Promise<void> {
  return replaceFile(file, withChecksum(content(memory, limits)), { draft: 'fixed' });
}

function* content(memory: ReplayMemory, limits: HandoverLimits): Generator<Uint8Array> {
  const minutes = memory.minutes().map(({ minute, callers }) => {
    return { minute, callers, entries: Object.values(callers).reduce((sum, count) => sum + count, 0) };
  });
  const refusedTo: Record<string, number> = {};
  for (let index = 0; index < memory.kids.count; index++) {
    const kid = memory.kids.name(index);
    if (memory.refusedTo(kid) > 0) refusedTo[kid] = memory.refusedTo(kid);
  }
  const secret = Buffer.from(memory.secret.buffer, 0, entryBytes).toString('base64');
  const { horizon, sealedFloor } = memory;
  const header: Header = { secret, horizon, refusedTo, ...limits, sealedFloor, minutes };
  const text = Buffer.from(`${JSON.stringify(header)}\n`);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(text.length);
  yield Buffer.concat([Buffer.from(magic), length, text]);
  for (const { minute } of minutes) yield* inChunks(memory.entriesOf(minute));
}

/** The same bytes in fewer pieces; each is valid until the next one is asked for. */
function* inChunks(pieces: Iterable<Int32Array>): Generator<Uint8Array> {
  const chunk = Buffer.allocUnsafeSlow(chunkBytes);
  let length = 0;
  for (const piece of pieces) {
    if (length + piece.byteLength > chunk.length) {
      yield chunk.subarray(0, length);
      length = 0;
    }
    chunk.set(new Uint8Array(piece.buffer, piece.byteOffset, piece.byteLength), length);
    length += piece.byteLength;
  }
  yield chunk.subarray(0, length);
}

function* withChecksum(chunks: Iterable<Uint8Array>): Generator<Uint8Array> {
  let checksum = 0;
  for (const chunk of chunks) {
    checksum = crc32(chunk, checksum);
    yield chunk;
  }
  const end = Buffer.alloc(4);
  end.writeUInt32LE(checksum);
  yield end;
}

/**
 * Reads what the process before has left; undefined when there is no such file, or one that is not whole. Then
 * nobody can say what was accepted, and the marks decide.
 */
export async function readHandover(file: string): Promise<Handover | undefined> {
  let handle: Awaited<ReturnType<typeof open>>;
  try {
    handle = await open(file, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
  try {
    const { size } = await handle.stat();
    let at = 0;
    let checksum = 0;
    const read = async (length: number): Promise<Buffer> => {
      if (length < 0 || at + length > size) throw new Incomplete();
      const { buffer, bytesRead } = await handle.read(Buffer.allocUnsafeSlow(length), 0, length, at);
      if (bytesRead !== length) throw new Incomplete();
      at += length;
      checksum = crc32(buffer, checksum);
      return buffer;
    };
    if ((await read(magic.length)).toString('latin1') !== magic) throw new Incomplete();
    const header = JSON.parse((await read((await read(4)).readUInt32LE())).toString('utf8')) as Header;
    const memory = ReplayMemory.withSecret(
      new Int32Array(new Uint8Array(Buffer.from(header.secret, 'base64')).buffer),
    );
    for (const { minute, entries, callers } of header.minutes) {
      memory.restoreCounts(minute, callers);
      for (let left = entries * entryBytes; left > 0; ) {
        const chunk = await read(Math.min(left, chunkBytes));
        left -= chunk.length;
        if (!memory.restoreEntries(minute, new Int32Array(chunk.buffer))) throw new Incomplete();
      }
    }
    const expected = checksum;
    if ((await read(4)).readUInt32LE() !== expected || at !== size) throw new Incomplete();
    memory.refuseUpTo(header.horizon);
    memory.sealedFloor = header.sealedFloor ?? 0;
    return {
      memory,
      refusedTo: new Map(Object.entries(header.refusedTo)),
      // A process of 0.1 has written neither of the two.
      limits: { refusedUnmarked: header.refusedUnmarked, wholeFrom: header.wholeFrom ?? 0 },
    };
  } catch (error) {
    if (error instanceof Incomplete || error instanceof SyntaxError || error instanceof TypeError)
      return undefined;
    throw error;
  } finally {
    await handle.close();
  }
}

class Incomplete extends Error {}
