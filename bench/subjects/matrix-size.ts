import { inboundWith } from '../peers/countersign-inbound.ts';
import type { Result, Subject } from '../subject.ts';
import { measureVariants, variantTable } from './variants.ts';

/** Rules that every variant has. */
const own = 4;

/** 10 and 10,000 rules. */
export const matrixSize: Subject = {
  id: 'matrix-size',
  modes: ['quick', 'usual', 'full'],
  async run(bench): Promise<Result> {
    const variants = [10, 10_000].map((rules) =>
      inboundWith(`rules-${rules}`, `${rules.toLocaleString('en')} rules`, { furtherRules: rules - own }),
    );
    const data = await measureVariants(bench, variants, bench.mode === 'quick' ? 1 : bench.pace.rounds);
    return { id: 'matrix-size', table: variantTable('Matrices of 10 and 10,000 rules', data, 1.1), data };
  },
};
