/** The plots that are drawn from kept results: of the same cells, by the same functions, as the tables. */
import { type Bar, barGroups, decades, type Line, lines, steps } from './plots.ts';
import type { Kept, Results } from './results.ts';
import { median } from './statistics.ts';
import { type CpuData, rankedCells } from './subjects/cpu.ts';
import { bestCells, type Cell, costOf } from './subjects/grid.ts';
import type { HeadsData } from './subjects/heads.ts';

const where = ({ machine, at, mode }: Kept) =>
  `${machine.cpu}, ${machine.cores} cores, Node ${machine.node}, ${at.slice(0, 10)}, ${mode} run`;
const kernelAndUser = ['kernel', 'user'];

/** A bar of the kernel's part and the rest. */
function barOf(cell: Cell): Bar {
  const total = costOf(cell);
  const share = median(cell.samples.map(({ userCpu, cpu }) => userCpu / cpu));
  return { title: cell.title, ours: cell.ours, values: [total * (1 - share), total * share] };
}

function groupsOf(cells: readonly Cell[]) {
  const { best } = bestCells(cells);
  return [...Map.groupBy(best, ({ case: name }) => name)].map(([title, group]) => ({
    title,
    bars: group.map(barOf),
  }));
}

const drawings: Readonly<Record<string, (result: Kept) => string | undefined>> = {
  cpu: (result) =>
    barGroups('CPU per call at saturation, µs', where(result), kernelAndUser, [
      { title: '', bars: rankedCells(result.data as CpuData).best.map(barOf) },
    ]),

  sealed: (result) =>
    barGroups(
      'The hop inside TLS, CPU per call, µs',
      where(result),
      kernelAndUser,
      groupsOf(result.data as Cell[]),
    ),

  rates: (result) =>
    barGroups(
      'CPU per call below saturation, µs',
      where(result),
      kernelAndUser,
      groupsOf((result.data as Cell[]).filter(({ id }) => id !== 'bare')).map((group) => ({
        ...group,
        title: `${group.title} calls/s`,
      })),
    ),

  parts: (result) => {
    const { parts } = result.data as { parts: Record<string, number> };
    const bars = Object.entries(parts)
      .toSorted(([, a], [, b]) => b - a)
      .map(([title, value]) => ({ title, ours: true, values: [value] }));
    return barGroups('Where the CPU of one call goes, µs', where(result), [], [{ title: '', bars }]);
  },

  latency: (result) => {
    const nines = [0.5, 0.9, 0.99, 0.999];
    const cells = (result.data as Cell[]).filter(({ quantiles }) => quantiles !== undefined);
    if (cells.length === 0) return undefined;
    const drawn: Line[] = cells.map(({ title, ours, quantiles = [] }) => ({
      title,
      ours,
      points: quantiles.map(([share, micros]) => [1 / (1 - share), micros] as const),
    }));
    const x = {
      title: 'share of the calls that are faster',
      log: true,
      ticks: [[1, '0'] as const, ...nines.map((share) => [1 / (1 - share), `${100 * share} %`] as const)],
    };
    const all = drawn.flatMap(({ points }) => points.map(([, value]) => value));
    const y = { title: 'µs', log: true, ticks: decades(all, (value) => value.toLocaleString('en')) };
    return lines(`Latency at ${cells[0]!.case} calls a second`, where(result), x, y, drawn);
  },

  heads: (result) => {
    const drawn: Line[] = Object.values(result.data as Record<string, HeadsData>).map(
      ({ title, ours, cpu }) => ({
        title,
        ours,
        points: Object.entries(cpu).map(([fields, values]) => [Number(fields), median(values)] as const),
      }),
    );
    const greatest = Math.max(...drawn.flatMap(({ points }) => points.map(([, value]) => value)));
    const x = {
      title: 'field lines',
      log: false,
      ticks: [0, 5, 20, 40, 60].map((n) => [n, String(n)] as const),
    };
    const y = { title: 'CPU µs/call', log: false, ticks: steps(greatest) };
    return lines('CPU per call against the size of the head', where(result), x, y, drawn);
  },
};

/** Whose result a plot is drawn from, where it has another name. */
const sources: Readonly<Record<string, string>> = { latency: 'rates' };

/** Draws every plot of which there is a result; returns their names. */
export async function drawPlots(results: Results): Promise<string[]> {
  const drawn: string[] = [];
  for (const [name, draw] of Object.entries(drawings)) {
    const result = await results.kept(sources[name] ?? name);
    const svg = result === undefined ? undefined : draw(result);
    if (svg === undefined) continue;
    await results.keepPlot(name, svg);
    drawn.push(name);
  }
  return drawn;
}
