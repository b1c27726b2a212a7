import { type MeasureOptions, measure, type Sample } from '../measure.ts';
import type { Peer } from '../peers/peer.ts';
import { type Memory, memoryOf, memoryText } from '../processes.ts';
import { compare, median, ratioText } from '../statistics.ts';
import { type Bench, type Entry, interleaved, type Table } from '../subject.ts';
import { ratioTarget } from '../targets.ts';

export interface VariantData {
  readonly title: string;
  readonly samples: Sample[];
  memory: Memory;
}

/** Measures differently configured sidecars side by side; the first one is what the others are compared with. */
export async function measureVariants(
  bench: Bench,
  peers: readonly Peer[],
  rounds: number,
  options: Partial<MeasureOptions> = {},
): Promise<Record<string, VariantData>> {
  const { stage, pace } = bench;
  const entries: Entry[] = [];
  const data: Record<string, VariantData> = {};
  try {
    for (const peer of peers) entries.push({ peer, running: await stage.start(peer) });
    for (const { peer, running } of entries) {
      data[peer.id] = { title: peer.title, samples: [], memory: { resident: 0, own: 0 } };
      await measure(stage, peer, running, { warmMs: 0, ms: 2 * (pace.warmMs + pace.ms) });
    }
    await interleaved(rounds, entries, async ({ peer, running }) => {
      const variant = data[peer.id]!;
      variant.samples.push(await measure(stage, peer, running, { ...pace, ...options }));
      variant.memory = memoryOf(running.pids);
    });
  } finally {
    await Promise.all(entries.map(({ running }) => running.stop()));
  }
  return data;
}

export function variantTable(
  title: string,
  data: Readonly<Record<string, VariantData>>,
  target: number | undefined,
): Table {
  const [first, ...others] = Object.values(data);
  const costs = (variant: VariantData) => variant.samples.map(({ cpu }) => cpu);
  const rows = Object.values(data).map((variant) => [
    variant.title,
    median(costs(variant)).toFixed(1),
    median(variant.samples.map(({ perSecond }) => perSecond)).toFixed(0),
    memoryText(variant.memory),
    variant === first ? '' : ratioText(compare(costs(variant), costs(first!))),
  ]);
  return {
    title,
    columns: ['sidecar', 'CPU µs/call', 'calls/s', 'RSS MiB (own)', 'CPU, this / first'],
    rows,
    notes: [],
    targets: others.flatMap((variant) =>
      target === undefined
        ? []
        : ratioTarget(
            `CPU per call, ${variant.title} against ${first!.title}`,
            compare(costs(variant), costs(first!)),
            target,
          ),
    ),
  };
}
