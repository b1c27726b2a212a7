import fs, { existsSync, statSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { dirname, join } from 'node:path';
import type { Test } from 'tap';

/** What a program did to the files of one folder. */
type Operation =
  /** A name stands for a file from now on, or for none. */
  | { readonly kind: 'entries'; readonly set?: readonly [string, number]; readonly remove?: string }
  | { readonly kind: 'write'; readonly file: number; readonly data: Buffer }
  | { readonly kind: 'sync'; readonly file: number }
  | { readonly kind: 'sync-folder' };

/** What may lie in the folder after a power cut: names and contents. */
export type Remains = ReadonlyMap<string, Buffer>;

/** Beyond so many unsynced changes of entries only prefixes and single losses are tried, not every subset. */
const mostSubsets = 6;

/**
 * Records what this process does to one folder through node:fs/promises, and tells what a power cut at any moment may
 * leave: of everything since the last fsync any part may be missing, and a file may be torn.
 */
export class FileRecorder {
  readonly #folder: string;
  readonly #before: Remains;
  readonly #operations: Operation[] = [];
  readonly #fileOf = new Map<string, number>();
  #files = 0;
  /** Calls so far; each may be made to fail. */
  calls = 0;
  /** The error code with which a call fails, if it is to. */
  failure: (call: number) => string | undefined = () => undefined;

  private constructor(folder: string, before: Remains) {
    this.#folder = folder;
    this.#before = before;
    for (const name of before.keys()) this.#fileOf.set(name, this.#files++);
  }

  /** Records until the test ends. */
  static async start(t: Test, folder: string): Promise<FileRecorder> {
    const recorder = new FileRecorder(folder, await contentsOf(folder));
    const promises = fs.promises as unknown as Record<string, unknown>;
    const original = { ...promises };
    for (const [name, wrapped] of Object.entries(recorder.#calls(fs.promises))) promises[name] = wrapped;
    syncBuiltinESMExports();
    t.teardown(() => {
      Object.assign(promises, original);
      syncBuiltinESMExports();
    });
    return recorder;
  }

  /** How much has happened so far: a moment for `cuts`. */
  get now(): number {
    return this.#operations.length;
  }

  #record(operation: Operation): void {
    this.#operations.push(operation);
  }

  #nameOf(path: string): string | undefined {
    return dirname(path) === this.#folder ? path.slice(this.#folder.length + 1) : undefined;
  }

  #count(name: string): void {
    const code = this.failure(this.calls++);
    if (code !== undefined) throw Object.assign(new Error(`${code}: ${name}`), { code });
  }

  // Changes are recorded before they are made, syncs once they are done: a cut may come in between.
  #calls({ open, rename, link, unlink, rm }: typeof fs.promises): Record<string, unknown> {
    return {
      open: async (path: string, flags: string, mode?: number) => {
        const name = this.#nameOf(path);
        if (name === undefined && path !== this.#folder) return open(path, flags, mode);
        this.#count('open');
        if (name !== undefined && typeof flags === 'string' && flags.startsWith('w')) {
          this.#fileOf.set(name, this.#files++);
          this.#record({ kind: 'entries', set: [name, this.#fileOf.get(name)!] });
        }
        return this.#watch(
          await open(path, flags, mode),
          name === undefined ? undefined : this.#fileOf.get(name),
        );
      },
      rename: (from: string, to: string) => {
        this.#place(from, to, true);
        return rename(from, to);
      },
      link: (from: string, to: string) => {
        if (!existsSync(to)) this.#place(from, to, false);
        return link(from, to);
      },
      unlink: (path: string) => {
        this.#remove(path);
        return unlink(path);
      },
      rm: (path: string, options: object) => {
        if (existsSync(path)) this.#remove(path);
        return rm(path, options);
      },
    };
  }

  #place(from: string, to: string, moves: boolean): void {
    const [source, target] = [this.#nameOf(from), this.#nameOf(to)];
    if (source === undefined || target === undefined) return;
    this.#count(moves ? 'rename' : 'link');
    const file = this.#fileOf.get(source)!;
    this.#fileOf.set(target, file);
    if (moves) this.#fileOf.delete(source);
    this.#record({ kind: 'entries', set: [target, file], ...(moves && { remove: source }) });
  }

  #remove(path: string): void {
    const name = this.#nameOf(path);
    if (name === undefined || !this.#fileOf.has(name)) return;
    this.#count('unlink');
    this.#fileOf.delete(name);
    this.#record({ kind: 'entries', remove: name });
  }

  #watch(handle: fs.promises.FileHandle, file: number | undefined): fs.promises.FileHandle {
    const { sync, writeFile } = handle;
    handle.writeFile = async (data: unknown) => {
      this.#count('write');
      const bytes = Buffer.from(data as string);
      if (file !== undefined) this.#record({ kind: 'write', file, data: bytes });
      await writeFile.call(handle, bytes);
    };
    handle.sync = async () => {
      this.#count('sync');
      await sync.call(handle);
      this.#record(file === undefined ? { kind: 'sync-folder' } : { kind: 'sync', file });
    };
    return handle;
  }

  /** Everything that a power cut after the first `moment` operations may leave in the folder, each once. */
  *cuts(moment: number): Generator<Remains> {
    const durable = new Map([...this.#before.keys()].map((name, file) => [name, file]));
    const contents = new Map([...this.#before.values()].map((data, file) => [file, { data, synced: data }]));
    let pending: Extract<Operation, { kind: 'entries' }>[] = [];
    for (const operation of this.#operations.slice(0, moment)) {
      if (operation.kind === 'entries') pending.push(operation);
      else if (operation.kind === 'sync-folder') {
        for (const change of pending) apply(durable, change);
        pending = [];
      } else {
        const none = { data: Buffer.alloc(0), synced: Buffer.alloc(0) };
        const content = contents.get(operation.file) ?? none;
        const data =
          operation.kind === 'write' ? Buffer.concat([content.data, operation.data]) : content.data;
        contents.set(operation.file, { data, synced: operation.kind === 'sync' ? data : content.synced });
      }
    }
    const seen = new Set<string>();
    for (const kept of subsets(pending)) {
      const entries = new Map(durable);
      for (const change of kept) apply(entries, change);
      for (const remains of withTornFiles([...entries], contents)) {
        const key = JSON.stringify(
          [...remains].sort().map(([name, data]) => [name, data.toString('latin1')]),
        );
        if (!seen.has(key)) yield remains;
        seen.add(key);
      }
    }
  }
}

/** Names and contents of the regular files in a folder. */
async function contentsOf(folder: string): Promise<Remains> {
  const names = (await readdir(folder)).filter((name) => statSync(join(folder, name)).isFile());
  return new Map(
    await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name))] as const)),
  );
}

function apply(entries: Map<string, number>, { set, remove }: Extract<Operation, { kind: 'entries' }>): void {
  if (remove !== undefined) entries.delete(remove);
  if (set !== undefined) entries.set(...set);
}

function* subsets<Item>(items: readonly Item[]): Generator<readonly Item[]> {
  if (items.length <= mostSubsets) {
    for (let mask = 0; mask < 1 << items.length; mask++)
      yield items.filter((_, i) => (mask & (1 << i)) !== 0);
    return;
  }
  for (let length = 0; length <= items.length; length++) yield items.slice(0, length);
  for (let lost = 0; lost < items.length; lost++) yield items.toSpliced(lost, 1);
}

function* withTornFiles(
  [first, ...others]: (readonly [string, number])[],
  contents: ReadonlyMap<number, { readonly data: Buffer; readonly synced: Buffer }>,
): Generator<Map<string, Buffer>> {
  if (first === undefined) {
    yield new Map();
    return;
  }
  const [name, file] = first;
  const { data, synced } = contents.get(file) ?? { data: Buffer.alloc(0), synced: Buffer.alloc(0) };
  const versions = data === synced ? [data] : [data, synced, data.subarray(0, data.length >> 1)];
  for (const rest of withTornFiles(others, contents))
    for (const version of versions) yield new Map([[name, version], ...rest]);
}
