import { memoryOf, memoryText } from '../processes.ts';
import { median, ratioText, spread } from '../statistics.ts';
import type { Bench, Result, Subject, Table } from '../subject.ts';
import { numberTarget, ratioTarget, type Target } from '../targets.ts';
import { bestCells, type Cell, cellRatio, costOf, costsOf, measureGrid, titleOf } from './grid.ts';

export interface CpuData {
  readonly cells: readonly Cell[];
  /** Bytes, by the peer's id. */
  readonly memory: Readonly<Record<string, { readonly resident: number; readonly own: number }>>;
}

const us = 'countersign-inbound';
const pair = 'countersign-pair';

/** What our CPU per call must be at most, of theirs in the same round. */
const targets: readonly (readonly [ours: string, theirs: string, most: number])[] = [
  [us, 'HAProxy, equal work', 0.78],
  [us, 'nginx + Lua, equal work', 0.88],
  [us, 'splice: bytes in, bytes out', 1.45],
  [pair, 'HAProxy → HAProxy with TLS, signs and checks', 0.8],
  [pair, 'stunnel → stunnel with PSK → Countersign inbound', 1],
];
const memoryTargetMB = 120;

/** CPU per request, throughput and latency of every peer at saturation, 64 connections. */
export const cpu: Subject = {
  id: 'cpu',
  modes: ['quick', 'usual', 'full'],
  async run(bench): Promise<Result> {
    const runs = bench.entries.map((entry) => ({ entry, load: { name: '' } }));
    const cells = await measureGrid(bench, bench.pace.rounds, runs);
    const memory = Object.fromEntries(
      bench.entries.map(({ peer, running }) => [peer.id, memoryOf(running.pids)]),
    );
    const data: CpuData = { cells, memory };
    return { id: 'cpu', table: tableOf(bench, data), data };
  },
};

/** By rising cost, of each title its best variant. */
export function rankedCells({ cells }: CpuData): { readonly best: Cell[]; readonly notes: string[] } {
  return bestCells(cells.filter(({ id }) => id !== 'bare'));
}

function tableOf({ entries }: Bench, data: CpuData): Table {
  const { best, notes } = rankedCells(data);
  const ours = data.cells.find(({ id }) => id === us);
  const rows = best.map((cell) => {
    const of = (key: 'userCpu' | 'busy' | 'perSecond') => median(cell.samples.map((sample) => sample[key]));
    return [
      titleOf(cell),
      costOf(cell).toFixed(1),
      of('userCpu').toFixed(1),
      `${(100 * spread(costsOf(cell))).toFixed(0)} %`,
      `${(100 * of('busy')).toFixed(0)} %`,
      of('perSecond').toFixed(0),
      memoryText(data.memory[cell.id]!),
      cell === ours || ours === undefined ? '' : ratioText(cellRatio(ours, cell)),
      entries.find(({ peer }) => peer.id === cell.id)?.peer.note ?? '',
    ];
  });
  return {
    title: 'CPU per call at saturation (64 connections, GET, 663-byte heads, each signed afresh)',
    columns: [
      'peer',
      'CPU µs/call',
      'of it user',
      'spread',
      'of a core',
      'calls/s',
      'RSS MiB (own)',
      'inbound / this',
      '',
    ],
    rows,
    notes: [...notes, ...generatorNotes(data), ...badNotes(data)],
    targets: targetsOf(data, best),
  };
}

function targetsOf(data: CpuData, best: readonly Cell[]): Target[] {
  const found = targets.flatMap(([id, title, most]) => {
    const ours = best.find((cell) => cell.id === id);
    const theirs = best.find((cell) => cell.title === title);
    return ratioTarget(`CPU per call, ${ours?.title ?? id} against ${title}`, cellRatio(ours, theirs), most);
  });
  const memory = data.memory[us];
  return [
    ...found,
    ...numberTarget(
      'RSS of inbound under load',
      (memory?.resident ?? Number.NaN) / 1e6,
      memoryTargetMB,
      'MB',
    ),
  ];
}

/** Less of its core than this, and something other than the peer may have set the pace. */
const busyEnough = 0.95;

/**
 * The generator's proof. Whoever used up its core was not waiting for the generator; and this is what generator and
 * app reach with nothing between them, on the cores that they share.
 */
function generatorNotes({ cells }: CpuData): string[] {
  const rate = (cell: Cell) => median(cell.samples.map((sample) => sample.perSecond));
  const bare = cells.find(({ id }) => id === 'bare');
  const peers = cells.filter(({ id }) => id !== 'bare');
  const busy = ({ samples }: Cell) => median(samples.map((sample) => sample.busy));
  const waited = peers.filter((cell) => busy(cell) < busyEnough);
  const notes = [
    waited.length === 0
      ? `every peer used up ${100 * busyEnough} % of its core or more: none waited for the generator`
      : `${waited.map(fullTitle).join(', ')} used less than ${100 * busyEnough} % of the core: the generator, or other work on this machine, limited the throughput (not the CPU per call)`,
  ];
  if (bare === undefined || peers.length === 0) return notes;
  const headroom = (some: readonly Cell[]) => (rate(bare) / Math.max(...some.map(rate))).toFixed(2);
  const equal = peers.filter(({ title, id }) => id === us || title.includes('equal work'));
  return [
    ...notes,
    `generator and app reach ${rate(bare).toFixed(0)} calls/s without a proxy: ${headroom(peers)} × the fastest peer, ${headroom(equal)} × the fastest that checks`,
  ];
}

const fullTitle = ({ title, variant }: Cell) => (variant === undefined ? title : `${title} (${variant})`);

function badNotes({ cells }: CpuData): string[] {
  return cells.flatMap(({ title, samples }) => {
    const bad = samples.reduce((sum, sample) => sum + sample.bad, 0);
    return bad === 0 ? [] : [`${title}: ${bad} answers were not 2xx`];
  });
}
