import { usualCall } from '../load/signer.ts';
import { measure, type Sample } from '../measure.ts';
import { median, spread } from '../statistics.ts';
import { interleaved, type Result, type Subject } from '../subject.ts';

const perSecond = 1000;

/** What each peer adds at 1,000 requests a second of 1 kB: the workload that Istio and Linkerd publish. */
export const addedLatency: Subject = {
  id: 'added-latency',
  modes: ['quick', 'usual', 'full'],
  async run({ stage, entries, pace, mode }): Promise<Result> {
    const call = { ...usualCall, path: '/api/status/bytes-1024' };
    const data = Object.fromEntries(
      entries.map(({ peer }) => [peer.id, { title: peer.title, samples: [] as Sample[] }]),
    );
    await interleaved({ quick: 1, usual: 3, full: pace.rounds }[mode], entries, async ({ peer, running }) => {
      const sample = await measure(stage, peer, running, { ...pace, call, perSecond, connections: 16 });
      data[peer.id]!.samples.push(sample);
    });
    const bare = data.bare?.samples ?? [];
    const added = (samples: readonly Sample[], key: 'p50' | 'p99' | 'p999') =>
      median(samples.map((sample, i) => sample[key] - (bare[i]?.[key] ?? Number.NaN))).toFixed(0);
    const rows = Object.entries(data).map(([id, { title, samples }]) => [
      title,
      ...(['p50', 'p99', 'p999'] as const).map((key) =>
        id === 'bare' ? median(samples.map((sample) => sample[key])).toFixed(0) : `+${added(samples, key)}`,
      ),
      `${(100 * spread(samples.map(({ p99 }) => p99))).toFixed(0)} %`,
    ]);
    return {
      id: 'added-latency',
      table: {
        title: 'Added latency at 1,000 requests/s of 1 kB, µs (measured from when each request was due)',
        columns: ['peer', 'p50', 'p99', 'p99.9', 'spread of p99'],
        rows,
        notes: ['the first row is the app without a proxy; the others are what a proxy adds to it'],
      },
      data,
    };
  },
};
