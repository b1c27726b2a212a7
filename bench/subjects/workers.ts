import { cpus } from 'node:os';
import { inboundWith } from '../peers/countersign-inbound.ts';
import { compare } from '../statistics.ts';
import type { Result, Subject } from '../subject.ts';
import { measureVariants, variantTable } from './variants.ts';

/** With fewer cores the workers, the generator and the app would fight over them. */
const coresToSpare = 4;

/** One and two workers: twice the work where there are cores for it, no more CPU for each request anywhere. */
export const workers: Subject = {
  id: 'workers',
  modes: ['quick', 'usual', 'full'],
  async run(bench): Promise<Result> {
    const variants = [1, 2].map((count) =>
      inboundWith(`workers-${count}`, `workers: ${count}`, { further: `workers: ${count}` }),
    );
    const data = await measureVariants(bench, variants, bench.mode === 'quick' ? 1 : bench.pace.rounds);
    const table = variantTable('One and two workers over one replay memory', data, 1.1);
    const rate = (id: string) => data[id]!.samples.map(({ perSecond }) => perSecond);
    const { ratio } = compare(rate('workers-2'), rate('workers-1'));
    const spare = cpus().length >= coresToSpare;
    const note = spare
      ? `two workers serve ${ratio.toFixed(2)} × as much; target ≥ 1.80`
      : 'both share one core here: this machine can show the CPU per request, not the throughput';
    return { id: 'workers', table: { ...table, notes: [...table.notes, note] }, data };
  },
};
