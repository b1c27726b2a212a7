import { readFile } from 'node:fs/promises';
import { dirname, join, normalize } from 'node:path';

/** Tests that run this are judged by the executables, which have to be built with the fault in them. */
const needsExecutables = ['test/support/sidecar-process.ts', 'test/support/run-countersign.ts'];

/** The tests that can notice a fault in a source. */
export interface Witnesses {
  /** Import the source itself; those of the same path first, then the nearest. */
  readonly direct: readonly string[];
  /** Run executables that hold the source. */
  readonly built: readonly string[];
}

/** Which modules each test imports, directly and through others. */
export class ImportGraph {
  readonly #root: string;
  readonly #imports = new Map<string, readonly string[]>();

  constructor(root: string) {
    this.#root = root;
  }

  async #importsOf(file: string): Promise<readonly string[]> {
    const known = this.#imports.get(file);
    if (known !== undefined) return known;
    const text = await readFile(join(this.#root, file), 'utf8').catch(() => '');
    const found = [...text.matchAll(/(?:from|import)\s*\(?\s*'(\.{1,2}\/[^']+\.ts)'/g)].map(([, path]) =>
      normalize(join(dirname(file), path as string)),
    );
    this.#imports.set(file, found);
    return found;
  }

  /** Modules by how many imports away they are. */
  async distances(from: string): Promise<ReadonlyMap<string, number>> {
    const distances = new Map([[from, 0]]);
    const queue = [from];
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      for (const next of await this.#importsOf(file)) {
        if (distances.has(next)) continue;
        distances.set(next, (distances.get(file) as number) + 1);
        queue.push(next);
      }
    }
    return distances;
  }
}

/**
 * @param source from the top of the repository
 * @param tests every test file, likewise
 */
export async function witnessesOf(
  source: string,
  tests: readonly string[],
  graph: ImportGraph,
): Promise<Witnesses> {
  const own = `test/${source.replace(/\.ts$/, '.test.ts')}`;
  const folder = `${dirname(own)}/`;
  const direct: { test: string; rank: number }[] = [];
  const built: { test: string; rank: number }[] = [];
  for (const test of tests) {
    const distances = await graph.distances(test);
    const runs = needsExecutables.some((module) => distances.has(module));
    const distance = distances.get(source);
    const near = test === own ? -2 : test.startsWith(folder) ? -1 : 0;
    if (runs) built.push({ test, rank: near });
    else if (distance !== undefined) direct.push({ test, rank: near * 100 + distance });
  }
  const ordered = (list: { test: string; rank: number }[]) =>
    list.sort((a, b) => a.rank - b.rank || a.test.localeCompare(b.test)).map(({ test }) => test);
  return { direct: ordered(direct), built: ordered(built) };
}
