import { Latencies } from '../load/latencies.ts';
import type { Dialect } from '../load/signer.ts';
import { type MeasureOptions, measure, type Sample } from '../measure.ts';
import type { Peer } from '../peers/peer.ts';
import { missing } from '../stage.ts';
import { type Comparison, compare, median, ratioText } from '../statistics.ts';
import { type Absence, type Bench, type Entry, interleaved } from '../subject.ts';

/** One kind of load that several peers are put under. */
export interface Case extends Partial<MeasureOptions> {
  readonly name: string;
  /** In place of the peer's own: nobody signs for a public route. */
  readonly dialect?: Dialect;
}

/** What one peer gave in one case: round by round, and of all rounds together [share, latency that it does not exceed]. */
export interface Cell {
  readonly case: string;
  readonly id: string;
  readonly title: string;
  readonly variant?: string;
  readonly ours: boolean;
  readonly samples: Sample[];
  quantiles?: readonly (readonly [number, number])[];
}

/** Shares of all requests whose latency is kept. */
const keptShares = [0, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99, 0.995, 0.999];
/** With fewer requests than this a latency says too little of the rarest ones. */
const fewestForLatency = 100_000;
/** Cores: with more than this used by others a latency is theirs as much as the peer's. */
const mostOthers = 0.2;

/**
 * Every peer in every case, once a round.
 *
 * @param runs which peer is put under which load; a first run of each pair that is not kept warms it up when `warm` is set
 */
export async function measureGrid(
  { stage, pace }: Bench,
  rounds: number,
  runs: readonly { readonly entry: Entry; readonly load: Case }[],
  warm = true,
): Promise<Cell[]> {
  const grid = runs.map(({ entry, load }) => {
    const { id, title, variant, ours = false } = entry.peer;
    const cell: Cell = {
      case: load.name,
      id,
      title,
      ...(variant !== undefined && { variant }),
      ours,
      samples: [],
    };
    return { entry, load, cell, latencies: new Latencies() };
  });
  const run = ({ entry: { peer, running }, load, latencies }: (typeof grid)[number], keep: boolean) =>
    measure(stage, load.dialect === undefined ? peer : { ...peer, dialect: load.dialect }, running, {
      ...pace,
      ...load,
      ...(keep ? { onLatencies: (of: Latencies) => latencies.add(of) } : { ms: 2 * pace.ms }),
    });
  if (warm) for (const one of grid) await run(one, false);
  await interleaved(rounds, grid, async (one) => void one.cell.samples.push(await run(one, true)));
  for (const { cell, latencies } of grid)
    if (latencies.total >= fewestForLatency && median(cell.samples.map(({ others }) => others)) <= mostOthers)
      cell.quantiles = keptShares.map((share) => [share, latencies.quantile(share)] as const);
  return grid.map(({ cell }) => cell);
}

export const costsOf = ({ samples }: Cell): number[] => samples.map(({ cpu }) => cpu);
export const costOf = (cell: Cell): number => median(costsOf(cell));

/** Our CPU per call against theirs, round by round; NaN where one is not there. */
export function cellRatio(ours: Cell | undefined, theirs: Cell | undefined): Comparison {
  return compare(ours === undefined ? [] : costsOf(ours), theirs === undefined ? [] : costsOf(theirs));
}

export function cellOf(cells: readonly Cell[], name: string, id: string): Cell | undefined {
  return cells.find((cell) => cell.case === name && cell.id === id);
}

/**
 * Of the cells of a case with one title the one that costs least, and a note for each title that was measured in several ways.
 * By rising cost.
 */
export function bestCells(cells: readonly Cell[]): { readonly best: Cell[]; readonly notes: string[] } {
  const groups = Map.groupBy(cells, ({ case: name, title }) => `${name}\n${title}`);
  const best: Cell[] = [];
  const notes: string[] = [];
  for (const group of groups.values()) {
    const sorted = group.toSorted((a, b) => costOf(a) - costOf(b));
    best.push(sorted[0]!);
    if (sorted.length === 1) continue;
    const measured = sorted.map((cell) => `${cell.variant} ${costOf(cell).toFixed(1)} µs`).join(', ');
    notes.push(
      `${sorted[0]!.title}${sorted[0]!.case === '' ? '' : `, ${sorted[0]!.case}`}: the best of ${measured}`,
    );
  }
  const order = new Map([...new Set(cells.map(({ case: name }) => name))].map((name, i) => [name, i]));
  best.sort((a, b) => order.get(a.case)! - order.get(b.case)! || costOf(a) - costOf(b));
  return { best, notes };
}

/** The latencies of a cell for a table: `212 / 540 / 1,180`, or why there are none. */
export function latencyText({ samples, quantiles }: Cell): string {
  if (quantiles === undefined)
    return median(samples.map(({ others }) => others)) > mostOthers ? 'machine busy' : 'too few calls';
  const at = (wanted: number) => quantiles.find(([share]) => share === wanted)?.[1] ?? Number.NaN;
  return [0.5, 0.99, 0.999].map((share) => at(share).toFixed(0)).join(' / ');
}

/** One row: who, CPU per call, and ours against it. */
export function costRow(cell: Cell, ours: Cell | undefined): [string, string, string] {
  const ratio = ours === undefined || ours === cell ? '' : ratioText(cellRatio(ours, cell));
  return [titleOf(cell), costOf(cell).toFixed(1), ratio];
}

/** Ours stand out. */
export const titleOf = ({ title, ours }: Pick<Cell, 'title' | 'ours'>) => (ours ? `**${title}**` : title);

/** Starts peers that only one subject needs; what cannot be started is told. */
export async function withPeers<T>(
  { stage }: Bench,
  peers: readonly Peer[],
  run: (entries: readonly Entry[], absences: readonly Absence[]) => Promise<T>,
): Promise<T> {
  const entries: Entry[] = [];
  const absences: Absence[] = [];
  try {
    for (const peer of peers) {
      const why = missing(peer);
      if (why !== undefined) absences.push({ title: peer.title, why });
      else entries.push({ peer, running: await stage.start(peer) });
    }
    return await run(entries, absences);
  } finally {
    await Promise.all(entries.map(({ running }) => running.stop()));
  }
}
