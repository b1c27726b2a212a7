import { usualCall } from '../load/signer.ts';
import { pick, type Result, type Subject } from '../subject.ts';
import { ratioTarget } from '../targets.ts';
import { bestCells, type Cell, cellOf, cellRatio, costRow, latencyText, measureGrid } from './grid.ts';

const us = 'countersign-inbound';
const pair = 'countersign-pair';
const ids = [us, 'haproxy-equal', 'nginx-lua', pair, 'haproxy-pair'];
/** The latency of the app without a proxy is told beside the others. */
const idsWithBare = ['bare', ...ids];

/** Calls a second, and how long a round takes: at the last one the rounds together give 100,000 calls. */
const rates: readonly (readonly [perSecond: number, ms: number])[] = [
  [100, 2000],
  [1000, 1500],
  [5000, 6800],
];
const rounds = { quick: 1, usual: 3, full: 12 };
/** 100,000 calls at 1,000 a second take a whole run of their own. */
const fullMs = 9000;
const targetAt = new Map([
  [1000, 0.8],
  [5000, 0.8],
]);

/** CPU and latency at rates far below saturation, where most services live. */
export const rateSubject: Subject = {
  id: 'rates',
  modes: ['quick', 'usual', 'full'],
  async run(bench): Promise<Result> {
    const { mode } = bench;
    const runs = rates.flatMap(([perSecond, usualMs]) => {
      const ms = { quick: 400, usual: usualMs, full: Math.max(usualMs, fullMs) }[mode];
      const load = { name: nameOf(perSecond), perSecond, ms, warmMs: 300, connections: 16, call: usualCall };
      return pick(bench, perSecond === 5000 ? idsWithBare : ids).map((entry) => ({ entry, load }));
    });
    const cells = await measureGrid(bench, rounds[mode], runs, false);
    const { best } = bestCells(cells.filter(({ id }) => id !== 'bare'));
    const row = (cell: Cell) => {
      const ours = cellOf(cells, cell.case, cell.id === 'haproxy-pair' ? pair : us);
      const [title, cost, ratio] = costRow(cell, ours);
      return [`${cell.case}: ${title}`, cost, cell.id === pair ? '' : ratio, latencyText(cell)];
    };
    const bare = cells
      .filter(({ id }) => id === 'bare')
      .map((cell) => [`${cell.case}: no proxy`, '', '', latencyText(cell)]);
    return {
      id: 'rates',
      table: {
        title: 'At 100, 1,000 and 5,000 calls a second (16 connections)',
        columns: ['calls/s: peer', 'CPU µs/call', 'ours / this', 'latency p50 / p99 / p99.9 µs'],
        rows: [...best.map(row), ...bare],
        notes: [
          'ours / this: inbound against a peer that checks, the pair against two that sign and check',
          'latency counts from when a call was due, of all rounds together, and only where they are 100,000 calls or more on a machine that does nothing else',
        ],
        targets: [...targetAt].flatMap(([perSecond, most]) => {
          const name = nameOf(perSecond);
          const ratio = cellRatio(cellOf(cells, name, us), cellOf(cells, name, 'haproxy-equal'));
          return ratioTarget(
            `CPU per call at ${name} calls/s, Countersign inbound against HAProxy, equal work`,
            ratio,
            most,
          );
        }),
      },
      data: cells,
    };
  },
};

const nameOf = (perSecond: number) => perSecond.toLocaleString('en');
