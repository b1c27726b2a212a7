import { createHash } from 'node:crypto';
import { lineWith, type Mutant } from './mutants.ts';

/**
 * So many of the faults, each at most once; all of them, if there are no more. Each fault has a rank of its own, a hash of the
 * seed, its file and its line, so that an edit draws no other faults than those of the lines that it touches.
 */
export function sample(mutants: readonly Mutant[], count: number, seed: string): Mutant[] {
  const seen = new Map<string, number>();
  const ranked = mutants.map((mutant) => {
    const name = `${seed}\n${mutant.file}\n${mutant.fault.kind}\n${lineWith(mutant)}`;
    // Lines that occur twice in a file are told apart by their order.
    const nth = seen.get(name) ?? 0;
    seen.set(name, nth + 1);
    return { mutant, rank: createHash('sha256').update(`${name}\n${nth}`).digest('hex') };
  });
  ranked.sort((a, b) => (a.rank < b.rank ? -1 : 1));
  return ranked.slice(0, count).map(({ mutant }) => mutant);
}
