import { createHash } from 'node:crypto';
import { type Call, usualCall } from '../load/signer.ts';
import { measure, type Sample } from '../measure.ts';
import type { Peer } from '../peers/peer.ts';
import { hashingSplice } from '../peers/splice.ts';
import { median } from '../statistics.ts';
import { type Bench, type Entry, interleaved, pick, type Result, type Subject } from '../subject.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

interface Way {
  readonly what: string;
  readonly ids: readonly string[];
  readonly call: (bytes: number) => Call;
}

const digestOf = (bytes: number) =>
  `sha-256=:${createHash('sha256').update(Buffer.alloc(bytes, 'u')).digest('base64')}:`;
const upload = (bytes: number): Call => ({
  ...usualCall,
  method: 'POST',
  path: '/api/open',
  body: bytes,
  fields: 12,
});

const plain = ['countersign-inbound', 'haproxy-plain', 'nginx-plain', 'splice'];
const ways: readonly Way[] = [
  {
    what: 'down',
    ids: plain,
    call: (bytes) => ({ ...usualCall, path: `/api/status/bytes-${bytes}` }),
  },
  { what: 'up', ids: plain, call: upload },
  {
    what: 'up, digest',
    ids: ['countersign-inbound', 'hashing-splice'],
    call: (bytes) => ({ ...upload(bytes), path: '/api/process', digest: digestOf(bytes) }),
  },
];

export interface BodiesData {
  readonly what: string;
  readonly bytes: number;
  readonly title: string;
  readonly id: string;
  readonly samples: Sample[];
}

/** Bodies up and down, with and without a digest, in bytes a second. */
export const bodies: Subject = {
  id: 'bodies',
  modes: ['quick', 'usual', 'full'],
  async run(bench): Promise<Result> {
    const { stage, mode, pace } = bench;
    const sizes = {
      quick: [64 * KiB],
      usual: [KiB, 64 * KiB, MiB],
      full: [KiB, 64 * KiB, MiB, 100 * MiB],
    }[mode];
    const hashing = await stage.start(hashingSplice);
    const data: BodiesData[] = [];
    try {
      const runs = ways.flatMap((way) =>
        sizes.flatMap((bytes) =>
          entriesOf(bench, way, { peer: hashingSplice, running: hashing }).map((entry) => {
            const result = {
              what: way.what,
              bytes,
              id: entry.peer.id,
              title: entry.peer.title,
              samples: [] as Sample[],
            };
            data.push(result);
            return { ...entry, call: way.call(bytes), result };
          }),
        ),
      );
      const rounds = { quick: 1, usual: 2, full: 5 }[mode];
      await interleaved(rounds, runs, async ({ peer, running, call, result }) => {
        const connections = result.bytes >= MiB ? 4 : 16;
        const ms = result.bytes > MiB ? Math.max(4000, pace.ms) : pace.ms;
        result.samples.push(
          await measure(stage, signing(peer, call), running, { ...pace, ms, call, connections }),
        );
      });
    } finally {
      await hashing.stop();
    }
    const rows = data.map(({ what, bytes, title, samples }) => [
      `${sizeText(bytes)} ${what}: ${title}`,
      megabytes(samples, bytes).toFixed(0),
      (median(samples.map(({ cpu }) => cpu)) / (bytes / MiB)).toFixed(0),
      median(samples.map(({ p50 }) => p50)).toFixed(0),
    ]);
    return {
      id: 'bodies',
      table: {
        title: 'Bodies',
        columns: ['what', 'MB/s', 'CPU µs per MiB', 'p50 µs'],
        rows,
        notes: notesOf(data),
      },
      data,
    };
  },
};

/** The route for bodies without a digest is public: nobody signs there. */
function signing(peer: Peer, call: Call): Peer {
  return call.path === '/api/open' ? { ...peer, dialect: 'plain' } : peer;
}

function entriesOf(bench: Bench, way: Way, hashing: Entry): Entry[] {
  return way.ids.flatMap((id) => (id === hashing.peer.id ? [hashing] : pick(bench, [id])));
}

function megabytes(samples: readonly Sample[], bytes: number): number {
  return (median(samples.map(({ perSecond }) => perSecond)) * bytes) / 1e6;
}

function sizeText(bytes: number): string {
  return bytes >= MiB ? `${bytes / MiB} MiB` : `${bytes / KiB} KiB`;
}

/** By CPU, since one core does it all: what a byte costs us against what it costs them. */
function notesOf(data: readonly BodiesData[]): string[] {
  return data
    .filter(({ id, bytes }) => id === 'countersign-inbound' && bytes >= MiB)
    .flatMap((ours) => {
      const against = ours.what === 'up, digest' ? 'hashing-splice' : 'haproxy-plain';
      const theirs = data.find(
        ({ what, bytes, id }) => what === ours.what && bytes === ours.bytes && id === against,
      );
      if (theirs === undefined) return [];
      const target = against === 'hashing-splice' ? 0.85 : 1;
      const ratio = megabytes(ours.samples, ours.bytes) / megabytes(theirs.samples, theirs.bytes);
      return `target ≥ ${target.toFixed(2)} × ${theirs.title}, ${sizeText(ours.bytes)} ${ours.what}: ${
        ratio >= target ? 'reached' : 'missed'
      }, ${ratio.toFixed(2)}`;
    });
}
