import { usualCall } from '../load/signer.ts';
import { pairBeforeTls, pairBeforeTlsMissing } from '../peers/pair-before-tls.ts';
import { type Absence, type Bench, type Entry, pick, type Result, type Subject } from '../subject.ts';
import { ratioTarget, type Target } from '../targets.ts';
import { connectionsFor, signedPost, sizeText } from './bodies.ts';
import {
  bestCells,
  type Case,
  type Cell,
  cellOf,
  cellRatio,
  costRow,
  measureGrid,
  withPeers,
} from './grid.ts';

const KiB = 1024;
const pair = 'countersign-pair';
const noBody = 'no body';
const sizes = [KiB, 64 * KiB, 1024 * KiB];

/** What our pair must cost at most of theirs, by case. */
const targets: Readonly<Record<string, Readonly<Record<string, number>>>> = {
  'haproxy-pair': { [noBody]: 0.8, '1 KiB POST': 1, '64 KiB POST': 1, '1 MiB POST': 1 },
  'stunnel-inbound': { [noBody]: 1 },
  [pairBeforeTls.id]: { [noBody]: 1.2, '64 KiB POST': 0.9, '1 MiB POST': 0.9 },
};

/** The sealed hop beside other ways to encrypt one, and beside ours before it was sealed. */
export const sealed: Subject = {
  id: 'sealed',
  modes: ['quick', 'usual', 'full'],
  run(bench): Promise<Result> {
    const { mode } = bench;
    // Building a commit of the past takes longer than a quick run has.
    const why = mode === 'quick' ? 'not built in a quick run' : pairBeforeTlsMissing();
    return withPeers(bench, why === undefined ? [pairBeforeTls] : [], (before, absences) =>
      compareAll(bench, before, [
        ...absences,
        ...(why === undefined ? [] : [{ title: pairBeforeTls.title, why }]),
      ]),
    );
  },
};

async function compareAll(
  bench: Bench,
  before: readonly Entry[],
  absences: readonly Absence[],
): Promise<Result> {
  const { mode } = bench;
  const entries = [...pick(bench, [pair, 'haproxy-pair', 'stunnel-inbound']), ...before];
  const loads: Case[] = [
    { name: noBody, call: usualCall },
    ...(mode === 'quick' ? [64 * KiB] : sizes).map((bytes) => ({
      name: `${sizeText(bytes)} POST`,
      call: signedPost(bytes, false),
      connections: connectionsFor(bytes),
    })),
  ];
  const runs = loads.flatMap((load) =>
    entries.map((entry) => ({
      entry,
      // The generator signs for stunnel: behind it inbound hears a plain connection, and wants a digest.
      load:
        entry.peer.dialect === 'rfc9421' && (load.call?.body ?? 0) > 0
          ? { ...load, call: signedPost(load.call!.body, true) }
          : load,
    })),
  );
  const cells = await measureGrid(
    bench,
    { quick: 1, usual: 3, full: bench.pace.rounds }[mode],
    runs,
    mode !== 'quick',
  );
  const { best } = bestCells(cells);
  const row = (cell: Cell) => {
    const [title, cost, ratio] = costRow(cell, cellOf(cells, cell.case, pair));
    return [`${cell.case}: ${title}`, cost, ratio];
  };
  return {
    id: 'sealed',
    table: {
      title: 'The hop between two sidecars inside TLS 1.3, calls and signed POSTs',
      columns: ['call: proxies', 'CPU µs/call', 'our pair / this'],
      rows: best.map(row),
      notes: [
        'all of them: TLS 1.3, TLS_AES_128_GCM_SHA256, X25519, connections that are used again; CPU of all processes of the hop',
        ...absences.map(({ title, why }) => `${title}: ${why}`),
      ],
      targets: targetsOf(cells),
    },
    data: cells,
  };
}

function targetsOf(cells: readonly Cell[]): Target[] {
  return Object.entries(targets).flatMap(([id, byCase]) =>
    Object.entries(byCase).flatMap(([name, most]) => {
      const theirs = cellOf(cells, name, id);
      const what = `CPU per call, ${name}, sealed pair against ${theirs?.title ?? id}`;
      return ratioTarget(what, cellRatio(cellOf(cells, name, pair), theirs), most);
    }),
  );
}
