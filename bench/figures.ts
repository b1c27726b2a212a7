/** The plots that are drawn from kept results. */
import { decades, type Line, lines, stackedBars, steps } from './plots.ts';
import type { Kept, Results } from './results.ts';
import { median } from './statistics.ts';
import { type BodiesData, ofWholeCore } from './subjects/bodies.ts';
import type { CpuData } from './subjects/cpu.ts';
import type { HeadsData } from './subjects/heads.ts';
import type { LatencyData } from './subjects/latency.ts';

const where = ({ machine, at, mode }: Kept) =>
  `${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, ${at.slice(0, 10)}, ${mode} run`;

async function cpuPlot(results: Results): Promise<boolean> {
  const result = await results.kept('cpu');
  if (result === undefined) return false;
  const bars = Object.entries(result.data as CpuData)
    .filter(([id]) => id !== 'bare')
    .map(([, { title, samples }]) => {
      const total = median(samples.map(({ cpu }) => cpu));
      const user = median(samples.map(({ userCpu }) => userCpu));
      return { title, values: [Math.max(0, total - user), user] };
    });
  await results.keepPlot('cpu', stackedBars('CPU per request, µs', where(result), ['kernel', 'user'], bars));
  return true;
}

async function partsPlot(results: Results): Promise<boolean> {
  const result = await results.kept('parts');
  if (result === undefined) return false;
  const { parts } = result.data as { parts: Record<string, number> };
  const names = Object.keys(parts).sort((a, b) => parts[b]! - parts[a]!);
  const bar = { title: 'Countersign inbound', values: names.map((name) => parts[name]!) };
  await results.keepPlot(
    'parts',
    stackedBars('Where the CPU of one call goes, µs', where(result), names, [bar]),
  );
  return true;
}

async function latencyPlot(results: Results): Promise<boolean> {
  const result = await results.kept('latency');
  if (result === undefined) return false;
  const nines = [0.5, 0.9, 0.99, 0.999];
  const drawn: Line[] = Object.values(result.data as Record<string, LatencyData>).map(({ title, loads }) => ({
    title,
    points: loads['0.5']!.quantiles.map(([share, micros]) => [1 / (1 - share), micros] as const),
  }));
  const x = {
    title: 'share of the requests that are faster',
    log: true,
    ticks: [[1, '0'] as const, ...nines.map((share) => [1 / (1 - share), `${100 * share} %`] as const)],
  };
  const all = drawn.flatMap(({ points }) => points.map(([, value]) => value));
  const y = { title: 'µs', log: true, ticks: decades(all, (value) => value.toLocaleString('en')) };
  await results.keepPlot('latency', lines('Latency at half of what each can do', where(result), x, y, drawn));
  return true;
}

async function loadPlot(results: Results): Promise<boolean> {
  const result = await results.kept('latency');
  if (result === undefined) return false;
  const drawn: Line[] = Object.values(result.data as Record<string, LatencyData>).map(({ title, loads }) => ({
    title,
    points: Object.entries(loads).map(
      ([share, { samples }]) => [Number(share), median(samples.map(({ cpu }) => cpu))] as const,
    ),
  }));
  const greatest = Math.max(...drawn.flatMap(({ points }) => points.map(([, value]) => value)));
  const x = {
    title: 'load, as a share of what each can do',
    log: false,
    ticks: [0, 0.25, 0.5, 0.8, 1].map((share) => [share, `${100 * share} %`] as const),
  };
  const y = { title: 'CPU µs/request', log: false, ticks: steps(greatest) };
  await results.keepPlot('load', lines('CPU per request against load', where(result), x, y, drawn));
  return true;
}

async function headsPlot(results: Results): Promise<boolean> {
  const result = await results.kept('heads');
  if (result === undefined) return false;
  const drawn: Line[] = Object.values(result.data as Record<string, HeadsData>).map(({ title, cpu }) => ({
    title,
    points: Object.entries(cpu).map(([fields, values]) => [Number(fields), median(values)] as const),
  }));
  const greatest = Math.max(...drawn.flatMap(({ points }) => points.map(([, value]) => value)));
  const x = {
    title: 'field lines',
    log: false,
    ticks: [0, 5, 20, 40, 60].map((n) => [n, String(n)] as const),
  };
  const y = { title: 'CPU µs/request', log: false, ticks: steps(greatest) };
  await results.keepPlot(
    'heads',
    lines('CPU per request against the size of the head', where(result), x, y, drawn),
  );
  return true;
}

async function bodiesPlot(results: Results): Promise<boolean> {
  const result = await results.kept('bodies');
  if (result === undefined) return false;
  const byTitle = new Map<string, [number, number][]>();
  for (const one of result.data as BodiesData[]) {
    const name = `${one.what}: ${one.id}`;
    const rate = median(ofWholeCore(one)) / 1e6;
    byTitle.set(name, [...(byTitle.get(name) ?? []), [one.bytes / 1024, rate]]);
  }
  const drawn = [...byTitle].map(([title, points]) => ({ title, points }));
  const all = drawn.flatMap(({ points }) => points);
  const label = (value: number) => value.toLocaleString('en');
  const x = {
    title: 'KiB of a body',
    log: true,
    ticks: decades(
      all.map(([size]) => size),
      label,
    ),
  };
  const y = {
    title: 'MB/s',
    log: true,
    ticks: decades(
      all.map(([, rate]) => rate),
      label,
    ),
  };
  await results.keepPlot('bodies', lines('Bodies: what a whole core passes on', where(result), x, y, drawn));
  return true;
}

const plots = {
  cpu: cpuPlot,
  parts: partsPlot,
  latency: latencyPlot,
  load: loadPlot,
  heads: headsPlot,
  bodies: bodiesPlot,
};

/** Draws every plot of which there is a result; returns their names. */
export async function drawPlots(results: Results): Promise<string[]> {
  const drawn: string[] = [];
  for (const [name, draw] of Object.entries(plots)) if (await draw(results)) drawn.push(name);
  return drawn;
}
