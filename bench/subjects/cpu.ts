import { measure, type Sample } from '../measure.ts';
import { type Memory, memoryOf, memoryText } from '../processes.ts';
import { compare, median, ratioText, reaches, spread } from '../statistics.ts';
import { interleaved, type Result, type Subject } from '../subject.ts';

/** What one peer gave at saturation, round by round. */
export interface Saturation {
  readonly title: string;
  readonly checks: boolean;
  readonly note: string;
  readonly samples: Sample[];
  memory: Memory;
}

export type CpuData = Readonly<Record<string, Saturation>>;

const us = 'countersign-inbound';

/** What the data path must reach: our CPU per request against theirs, in the same round. */
const targets: Readonly<Record<string, number>> = {
  'haproxy-equal': 0.8,
  'nginx-lua': 0.72,
  'node-http-undici': 0.55,
  'http-proxy-3': 0.2,
  splice: 1.4,
};
const pairTarget = 2;
const memoryTargetMB = 120;

/** CPU per request, throughput and latency of every peer at saturation, 64 connections. */
export const cpu: Subject = {
  id: 'cpu',
  modes: ['quick', 'usual', 'full'],
  async run({ stage, entries, pace }): Promise<Result> {
    const data: Record<string, Saturation> = {};
    for (const { peer } of entries) {
      const { title, checks, note = '' } = peer;
      data[peer.id] = { title, checks, note, samples: [], memory: { resident: 0, own: 0 } };
    }
    // A first round for the compilers of whoever has one; it is not kept.
    for (const { peer, running } of entries)
      await measure(stage, peer, running, { warmMs: 0, ms: 2 * (pace.warmMs + pace.ms) });
    await interleaved(pace.rounds, entries, async ({ peer, running }) => {
      const saturation = data[peer.id]!;
      saturation.samples.push(await measure(stage, peer, running, pace));
      saturation.memory = memoryOf(running.pids);
    });
    return { id: 'cpu', table: tableOf(data), data };
  },
};

function tableOf(data: CpuData) {
  const ours = data[us]?.samples.map((sample) => sample.cpu);
  const rows = Object.entries(data).map(([id, { title, note, samples, memory }]) => {
    const of = (key: keyof Sample) => median(samples.map((sample) => sample[key]));
    const costs = samples.map((sample) => sample.cpu);
    const none = id === 'bare';
    return [
      title,
      none ? '' : of('cpu').toFixed(1),
      none ? '' : of('userCpu').toFixed(1),
      none ? '' : `${(100 * spread(costs)).toFixed(0)} %`,
      none ? '' : `${(100 * of('busy')).toFixed(0)} %`,
      of('perSecond').toFixed(0),
      of('p50').toFixed(0),
      of('p99').toFixed(0),
      none ? '' : memoryText(memory),
      none || id === us || ours === undefined ? '' : ratioText(compare(ours, costs)),
      note,
    ];
  });
  return {
    title: 'CPU per request at saturation (64 connections, GET, 663-byte heads, each signed afresh)',
    columns: [
      'peer',
      'CPU µs/req',
      'of it user',
      'spread',
      'of a core',
      'req/s',
      'p50 µs',
      'p99 µs',
      'RSS MiB (own)',
      'inbound / this',
      '',
    ],
    rows,
    notes: [...targetNotes(data), ...memoryNotes(data), ...generatorNotes(data), ...badNotes(data)],
  };
}

/** Which targets are reached, by the median of the rounds' ratios. */
function targetNotes(data: CpuData): string[] {
  const ours = data[us]?.samples.map((sample) => sample.cpu);
  if (ours === undefined) return [];
  const notes = Object.entries(targets).flatMap(([id, target]) => {
    const theirs = data[id];
    if (theirs === undefined) return [];
    const comparison = compare(
      ours,
      theirs.samples.map((sample) => sample.cpu),
    );
    return `target ≤ ${target.toFixed(2)} × ${theirs.title}: ${reaches(comparison, target)}`;
  });
  const pair = data['countersign-pair'];
  if (pair !== undefined) {
    const comparison = compare(
      pair.samples.map((sample) => sample.cpu),
      ours,
    );
    notes.push(
      `target: the pair ≤ ${pairTarget.toFixed(2)} × inbound alone: ${reaches(comparison, pairTarget)}`,
    );
  }
  return notes;
}

function memoryNotes(data: CpuData): string[] {
  const ours = data[us];
  if (ours === undefined) return [];
  const megabytes = ours.memory.resident / 1e6;
  const said = megabytes <= memoryTargetMB ? 'reached' : 'missed';
  return [
    `target: RSS ≤ ${memoryTargetMB} MB: ${said}, ${megabytes.toFixed(0)} MB with the nonces of these calls, ${(ours.memory.own / 1e6).toFixed(0)} of them its own; the others are pages of the executable, which all of its processes share`,
  ];
}

/** Less of its core than this, and something other than the peer may have set the pace. */
const busyEnough = 0.95;

/**
 * The generator's proof. Whoever used up its core was not waiting for the generator; and this is what generator and
 * app reach with nothing between them, on the cores that they share.
 */
function generatorNotes(data: CpuData): string[] {
  const rate = (saturation: Saturation) => median(saturation.samples.map((sample) => sample.perSecond));
  const { bare, ...others } = data;
  const peers = Object.values(others);
  const waited = peers.filter(({ samples }) => median(samples.map(({ busy }) => busy)) < busyEnough);
  const notes =
    waited.length === 0
      ? [`every peer used up ${100 * busyEnough} % of its core or more: none waited for the generator`]
      : waited.map(
          ({ title, samples }) =>
            `${title} used ${(100 * median(samples.map(({ busy }) => busy))).toFixed(0)} % of its core: the generator, or other work on this machine, limited its throughput (not its CPU per request)`,
        );
  if (bare === undefined || peers.length === 0) return notes;
  const headroom = (some: readonly Saturation[]) => (rate(bare) / Math.max(...some.map(rate))).toFixed(2);
  const checking = peers.filter(({ checks }) => checks);
  const beside = checking.length === 0 ? '' : `, ${headroom(checking)} × the fastest that checks`;
  return [
    ...notes,
    `generator and app reach ${rate(bare).toFixed(0)} req/s without a proxy: ${headroom(peers)} × the fastest peer${beside}`,
  ];
}

function badNotes(data: CpuData): string[] {
  return Object.values(data).flatMap(({ title, samples }) => {
    const bad = samples.reduce((sum, sample) => sum + sample.bad, 0);
    return bad === 0 ? [] : `${title}: ${bad} answers were not 2xx`;
  });
}
