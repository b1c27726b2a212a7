import { createHash } from 'node:crypto';
import { type Call, usualCall } from '../load/signer.ts';
import { measure, type Sample } from '../measure.ts';
import type { Peer } from '../peers/peer.ts';
import { hashingSplice } from '../peers/splice.ts';
import { type Comparison, compare, median, ratioText, reaches } from '../statistics.ts';
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

const inbound = 'countersign-inbound';
const plain = [inbound, 'haproxy-equal', 'haproxy-plain'];
const hashed = [inbound, hashingSplice.id];

/** What our throughput must reach, of theirs, on a core each. */
const targets: Readonly<Record<string, number>> = {
  [hashingSplice.id]: 0.85,
  'haproxy-equal': 1,
  'haproxy-plain': 1,
};

const ways: readonly Way[] = [
  {
    what: 'down',
    ids: plain,
    call: (bytes) => ({ ...usualCall, path: `/api/status/bytes-${bytes}` }),
  },
  { what: 'up', ids: plain, call: upload },
  {
    what: 'up, digest',
    ids: hashed,
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
    const sizes = mode === 'quick' ? [64 * KiB] : [KiB, 64 * KiB, MiB, 100 * MiB];
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
      const rounds = { quick: 1, usual: 3, full: 5 }[mode];
      await interleaved(rounds, runs, async ({ peer, running, call, result }) => {
        const connections = result.bytes >= MiB ? 4 : 16;
        // Of the largest a few must fit in.
        const large = result.bytes > MiB ? { ms: Math.max(1500, pace.ms), fewest: 4 } : {};
        const options = { ...pace, ...large, call, connections };
        result.samples.push(await measure(stage, signing(peer, call), running, options));
      });
    } finally {
      await hashing.stop();
    }
    const rows = data.map((theirs) => {
      const { what, bytes, title, samples } = theirs;
      return [
        `${sizeText(bytes)} ${what}: ${title}`,
        (median(bytesPerSecond(theirs)) / 1e6).toFixed(0),
        `${(100 * median(samples.map(({ busy }) => busy))).toFixed(0)} %`,
        (median(ofWholeCore(theirs)) / 1e6).toFixed(0),
        ratioText(against(data, theirs)),
        median(samples.map(({ p50 }) => p50)).toFixed(0),
      ];
    });
    return {
      id: 'bodies',
      table: {
        title: 'Bodies',
        columns: ['what', 'MB/s', 'of a core', 'MB/s of a whole core', 'inbound / this', 'p50 µs'],
        rows,
        notes: [
          'large bodies cost generator and app as much as the peer: where it did not use up its core, MB/s is their limit and that of a whole core is the comparison',
          ...notesOf(data),
        ],
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

/** What a core of ours passes on against one of theirs, round by round; ours against itself says nothing. */
function against(data: readonly BodiesData[], theirs: BodiesData): Comparison {
  const ours = data.find(
    ({ what, bytes, id }) => what === theirs.what && bytes === theirs.bytes && id === inbound,
  );
  return compare(ours === undefined || ours === theirs ? [] : ofWholeCore(ours), ofWholeCore(theirs));
}

/** Of bodies; of the largest too few are complete in one run to be counted, but a head is nothing beside them. */
function bytesPerSecond({ bytes, samples }: BodiesData): number[] {
  return samples.map(({ perSecond, sentPerSecond, receivedPerSecond }) =>
    bytes > MiB ? Math.max(sentPerSecond, receivedPerSecond) : perSecond * bytes,
  );
}

/** The same for each second of CPU time that the peer used. */
export function ofWholeCore(data: BodiesData): number[] {
  return bytesPerSecond(data).map((rate, i) => rate / data.samples[i]!.busy);
}

function sizeText(bytes: number): string {
  return bytes >= MiB ? `${bytes / MiB} MiB` : `${bytes / KiB} KiB`;
}

function notesOf(data: readonly BodiesData[]): string[] {
  return data.flatMap((theirs) => {
    const target = targets[theirs.id];
    const comparison = against(data, theirs);
    if (target === undefined || !Number.isFinite(comparison.ratio)) return [];
    const said = reaches(comparison, target, 'least');
    return `target ≥ ${target.toFixed(2)} × ${theirs.title}, ${sizeText(theirs.bytes)} ${theirs.what}: ${said}`;
  });
}
