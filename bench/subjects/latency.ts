import { Latencies } from '../load/latencies.ts';
import { measure, type Sample } from '../measure.ts';
import { compare, median } from '../statistics.ts';
import { interleaved, pick, type Result, type Subject } from '../subject.ts';

const us = 'countersign-inbound';
const ids = [
  'splice',
  us,
  'haproxy-equal',
  'nginx-lua',
  'node-http-undici',
  'http-proxy-3',
  'countersign-pair',
];
const shares = [0.25, 0.5, 0.8];

/** Shares of all requests whose latency is kept of each load, for the plot. */
const keptShares = [0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999];

/** What one load gave: each round, and of all rounds together [share, latency in µs that it does not exceed]. */
interface Load {
  readonly samples: Sample[];
  quantiles: readonly (readonly [number, number])[];
}

export interface LatencyData {
  readonly title: string;
  /** Requests a second at saturation, by which the loads are chosen. */
  saturation: number;
  readonly loads: Readonly<Record<string, Load>>;
}

/** Latency at a quarter, a half and four fifths of what each peer can do, from when each request was due. */
export const latency: Subject = {
  id: 'latency',
  modes: ['quick', 'usual', 'full'],
  async run(bench): Promise<Result> {
    const { stage, pace, mode } = bench;
    const entries = pick(bench, ids);
    const wanted = mode === 'quick' ? [0.5] : shares;
    const data: Record<string, LatencyData> = {};
    for (const { peer, running } of entries) {
      const { perSecond } = await measure(stage, peer, running, pace);
      const loads = Object.fromEntries(
        wanted.map((share): [number, Load] => [share, { samples: [], quantiles: [] }]),
      );
      data[peer.id] = { title: peer.title, saturation: perSecond, loads };
    }
    const rounds = { quick: 1, usual: 3, full: pace.rounds }[mode];
    for (const share of wanted) {
      const all = new Map(entries.map(({ peer }) => [peer.id, new Latencies()]));
      await interleaved(rounds, entries, async ({ peer, running }) => {
        const { saturation, loads } = data[peer.id]!;
        const load = loads[share]!;
        const onLatencies = (latencies: Latencies) => all.get(peer.id)!.add(latencies);
        const perSecond = Math.round(saturation * share);
        load.samples.push(await measure(stage, peer, running, { ...pace, perSecond, onLatencies }));
      });
      for (const [id, latencies] of all)
        data[id]!.loads[share]!.quantiles = keptShares.map(
          (kept) => [kept, latencies.quantile(kept)] as const,
        );
    }
    const rows = Object.entries(data).map(([id, { title, saturation, loads }]) => [
      title,
      saturation.toFixed(0),
      ...wanted.map((share) =>
        (['p50', 'p99', 'p999'] as const)
          .map((key) => {
            const values = (of: LatencyData) => of.loads[share]!.samples.map((sample) => sample[key]);
            const ours = data[us];
            const open = id !== us && ours !== undefined && !compare(values(ours), values(data[id]!)).decided;
            return `${open ? '~' : ''}${median(loads[share]!.samples.map((sample) => sample[key])).toFixed(0)}`;
          })
          .join(' / '),
      ),
    ]);
    return {
      id: 'latency',
      table: {
        title: 'Latency p50 / p99 / p99.9 in µs, at a share of what each peer can do (64 connections)',
        columns: ['peer', 'saturation req/s', ...wanted.map((share) => `at ${100 * share} %`)],
        rows,
        notes: [
          '~: the rounds do not agree on whether inbound is faster than this',
          'measured from when each request was due: a stall counts for every request that had to wait for it',
        ],
      },
      data,
    };
  },
};
