import { createHash } from 'node:crypto';
import { type Call, usualCall } from '../load/signer.ts';
import { haproxyBodies, haproxyDigest } from '../peers/haproxy.ts';
import { hashingSplice } from '../peers/splice.ts';
import { median } from '../statistics.ts';
import { type Entry, pick, type Result, type Subject } from '../subject.ts';
import { ratioTarget } from '../targets.ts';
import { bestCells, type Case, cellOf, cellRatio, costRow, measureGrid, withPeers } from './grid.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const us = 'countersign-inbound';

export const digestOf = (bytes: number) =>
  `sha-256=:${createHash('sha256').update(Buffer.alloc(bytes, 'u')).digest('base64')}:`;

/** A signed POST; on a plain connection its body has a digest. */
export const signedPost = (bytes: number, withDigest: boolean): Call => ({
  ...usualCall,
  method: 'POST',
  path: '/api/process',
  body: bytes,
  fields: withDigest ? 13 : 12,
  ...(withDigest && { digest: digestOf(bytes) }),
});

export const sizeText = (bytes: number) => (bytes >= MiB ? `${bytes / MiB} MiB` : `${bytes / KiB} KiB`);

/** With large bodies in flight memory is what is measured, so there are fewer of them. */
export const connectionsFor = (bytes: number) => (bytes >= MiB ? 4 : 16);

const down = (bytes: number): Case => ({
  name: `${sizeText(bytes)} down`,
  call: { ...usualCall, path: `/api/status/bytes-${bytes}` },
  connections: connectionsFor(bytes),
});
const up = (bytes: number): Case => ({
  name: `${sizeText(bytes)} up, digest checked`,
  call: signedPost(bytes, true),
  connections: connectionsFor(bytes),
});

/** Bodies down to a caller, and up with a digest that is checked: CPU of a call. */
export const bodies: Subject = {
  id: 'bodies',
  modes: ['quick', 'usual', 'full'],
  run(bench): Promise<Result> {
    const { mode } = bench;
    const sizes = mode === 'quick' ? [64 * KiB] : [KiB, 64 * KiB, MiB];
    const own = pick(bench, [us]);
    return withPeers(bench, [...haproxyBodies, haproxyDigest, hashingSplice], async (entries, absences) => {
      const isUp = ({ peer }: Entry) => peer === haproxyDigest || peer === hashingSplice;
      const runs = sizes.flatMap((bytes) => [
        ...[...own, ...entries.filter((entry) => !isUp(entry))].map((entry) => ({
          entry,
          load: down(bytes),
        })),
        ...[...own, ...entries.filter(isUp)].map((entry) => ({ entry, load: up(bytes) })),
      ]);
      const cells = await measureGrid(bench, { quick: 1, usual: 3, full: 5 }[mode], runs, mode !== 'quick');
      const { best, notes } = bestCells(cells);
      const rows = best.map((cell) => {
        const [title, cost, ratio] = costRow(cell, cellOf(cells, cell.case, us));
        const bytes = Math.max(
          ...cell.samples.map((sample) => sample.receivedPerSecond + sample.sentPerSecond),
        );
        return [
          `${cell.case}: ${title}`,
          cost,
          ratio,
          (bytes / 1e6 / median(cell.samples.map(({ busy }) => busy))).toFixed(0),
        ];
      });
      return {
        id: 'bodies',
        table: {
          title: 'Bodies',
          columns: ['body: peer', 'CPU µs/call', 'inbound / this', 'MB/s of a whole core'],
          rows,
          notes: [
            ...notes,
            'a splice that hashes what goes up does nothing else: what no proxy on Node that checks a digest can beat',
            ...absences.map(({ title, why }) => `${title}: ${why}`),
          ],
          targets: best.flatMap((cell) =>
            cell.id === haproxyDigest.id
              ? ratioTarget(
                  `CPU of a signed POST, ${cell.case}, inbound against ${cell.title}`,
                  cellRatio(cellOf(cells, cell.case, us), cell),
                  1,
                )
              : [],
          ),
        },
        data: cells,
      };
    });
  },
};
