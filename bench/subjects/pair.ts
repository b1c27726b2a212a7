import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { endWithUs, pinned } from '../processes.ts';
import { pick, type Result, type Subject } from '../subject.ts';
import { ratioTarget } from '../targets.ts';
import { type Cell, cellOf, cellRatio, costRow, measureGrid } from './grid.ts';

const us = 'countersign-inbound';
const pair = 'countersign-pair';
const most = 1.6;
const few = '8 calls in flight';
const many = '64 calls in flight';
const neighbour = '64 calls in flight beside a busy neighbour';

/** What both sidecars of a call cost of what inbound alone does, also where they share their core with other work. */
export const pairSubject: Subject = {
  id: 'pair',
  modes: ['quick', 'usual', 'full'],
  async run(bench): Promise<Result> {
    const entries = pick(bench, [us, pair]);
    const rounds = bench.mode === 'quick' ? 1 : bench.pace.rounds;
    const loads = (names: readonly (readonly [string, number])[]) =>
      names.flatMap(([name, connections]) =>
        entries.map((entry) => ({ entry, load: { name, connections } })),
      );
    const quiet = await measureGrid(
      bench,
      rounds,
      loads([
        [few, 8],
        [many, 64],
      ]),
    );
    const stop = startNeighbour(bench.stage.cores.measured);
    const busy = await measureGrid(bench, rounds, loads([[neighbour, 64]])).finally(stop);
    const cells = [...quiet, ...busy];
    const names = [few, many, neighbour];
    const row = (cell: Cell) => {
      const [title, cost] = costRow(cell, undefined);
      const alone = cellOf(cells, cell.case, us);
      const ratio = cell.id === us ? '' : cellRatio(cell, alone).ratio.toFixed(2);
      return [`${cell.case}: ${title}`, cost, ratio];
    };
    return {
      id: 'pair',
      table: {
        title: 'Both sidecars of a call against inbound alone',
        columns: ['load: sidecars', 'CPU µs/call', 'pair / inbound'],
        rows: cells.map(row),
        notes: [
          'the hop between the two is inside TLS; the neighbour computes without a pause on the core of the sidecars',
        ],
        targets: names.flatMap((name) =>
          ratioTarget(
            `CPU per call, pair against inbound, ${name}`,
            cellRatio(cellOf(cells, name, pair), cellOf(cells, name, us)),
            most,
          ),
        ),
      },
      data: cells,
    };
  },
};

/** A process that uses all that it gets of a core. */
function startNeighbour(cores: string | undefined): () => Promise<void> {
  const [command, words] = pinned(cores, process.execPath, ['-e', 'for (;;);']);
  const child = endWithUs(spawn(command, words, { stdio: 'ignore' }));
  return async () => {
    const ended = once(child, 'exit');
    child.kill('SIGKILL');
    await ended;
  };
}
