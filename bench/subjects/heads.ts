import { usualCall } from '../load/signer.ts';
import { measure } from '../measure.ts';
import { compare, median, ratioText } from '../statistics.ts';
import { interleaved, pick, type Result, type Subject } from '../subject.ts';
import { titleOf } from './grid.ts';

const ids = ['countersign-inbound', 'haproxy-equal', 'nginx-lua', 'node-http-undici'];
const sizes = [5, 20, 60];

export interface HeadsData {
  readonly title: string;
  readonly ours: boolean;
  /** CPU µs per request, round by round, by the number of fields. */
  readonly cpu: Readonly<Record<string, number[]>>;
}

/** What longer heads cost. */
export const heads: Subject = {
  id: 'heads',
  modes: ['quick', 'usual', 'full'],
  async run(bench): Promise<Result> {
    const { stage, pace, mode } = bench;
    const entries = pick(bench, ids);
    const data: Record<string, HeadsData> = Object.fromEntries(
      entries.map(({ peer }) => [
        peer.id,
        {
          title: peer.title,
          ours: peer.ours === true,
          cpu: Object.fromEntries(sizes.map((fields) => [fields, [] as number[]])),
        },
      ]),
    );
    const runs = entries.flatMap((entry) => sizes.map((fields) => ({ ...entry, fields })));
    const rounds = mode === 'quick' ? 1 : 3;
    await interleaved(rounds, runs, async ({ peer, running, fields }) => {
      const call = { ...usualCall, fields, headBytes: 0 };
      data[peer.id]!.cpu[fields]!.push((await measure(stage, peer, running, { ...pace, call })).cpu);
    });
    const ours = data['countersign-inbound'];
    const longest = sizes.at(-1)!;
    const sorted = Object.entries(data).toSorted(
      ([, a], [, b]) => median(a.cpu[longest]!) - median(b.cpu[longest]!),
    );
    const rows = sorted.map(([id, { cpu, ...of }]) => [
      titleOf(of),
      ...sizes.map((fields) => median(cpu[fields]!).toFixed(1)),
      ...sizes.map((fields) =>
        ours === undefined || id === 'countersign-inbound'
          ? ''
          : ratioText(compare(ours.cpu[fields]!, cpu[fields]!)),
      ),
    ]);
    return {
      id: 'heads',
      table: {
        title: 'CPU µs per request, by the number of field lines in the head',
        columns: [
          'peer',
          ...sizes.map((fields) => `${fields} fields`),
          ...sizes.map((fields) => `ours / this, ${fields}`),
        ],
        rows,
        notes: ['plain fields need one line more than the two of RFC 9421, so theirs begin at 6'],
      },
      data,
    };
  },
};
