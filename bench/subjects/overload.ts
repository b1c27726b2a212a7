import { type Attack, Strangers } from '../load/strangers.ts';
import { measure, type Sample } from '../measure.ts';
import { inboundWith } from '../peers/countersign-inbound.ts';
import { median } from '../statistics.ts';
import { interleaved, type Result, type Subject } from '../subject.ts';

const limits = { connections: 3000, unproven_connections: 1500, per_address: 1000 };
const peer = inboundWith('countersign-inbound-attacked', 'Countersign inbound', {
  further: `limits: { connections: ${limits.connections}, unproven_connections: ${limits.unproven_connections}, per_address: ${limits.per_address} }`,
});
const slowBody = 'POST /api/open HTTP/1.1\r\nHost: npu-worker\r\nContent-Length: 1000000\r\n\r\nx';
/** More than every limit for strangers lets in. */
const attacks: readonly Attack[] = [
  { from: '127.0.0.9', connections: 3200, first: '', eachSecond: '' },
  { from: '127.0.0.10', connections: 2000, first: slowBody, eachSecond: 'x' },
];
const perSecond = 1000;
const mostTimes = 2;

type Situation = 'calm' | 'attacked';

/** Latency of a proven caller's calls, with strangers at every limit and without any, in turns. */
export const overload: Subject = {
  id: 'overload',
  modes: ['usual', 'full'],
  async run({ stage, pace, mode, say }): Promise<Result> {
    const data: Record<Situation, Sample[]> = { calm: [], attacked: [] };
    const running = await stage.start(peer);
    try {
      await interleaved(
        { quick: 1, usual: 3, full: pace.rounds }[mode],
        ['calm', 'attacked'] as const,
        async (situation) => {
          const strangers = situation === 'calm' ? undefined : await Strangers.start(running.port, attacks);
          const sample = await measure(stage, peer, running, { ...pace, perSecond, connections: 16 });
          if (strangers !== undefined) {
            const { open, lost } = strangers.state;
            say(`${open} connections of strangers, ${lost} lost`);
            await strangers.stop();
          }
          data[situation].push(sample);
        },
      );
    } finally {
      await running.stop();
    }
    const of = (situation: Situation, key: 'p50' | 'p99' | 'bad') =>
      median(data[situation].map((sample) => sample[key]));
    const times = of('attacked', 'p50') / of('calm', 'p50');
    return {
      id: 'overload',
      table: {
        title: 'Calls of a proven caller at 1,000 requests/s, µs, while strangers hold all that they can',
        columns: ['strangers', 'p50', 'p99', 'failed calls'],
        rows: (['calm', 'attacked'] as const).map((situation) => [
          situation === 'calm' ? 'none' : '3,200 silent connections and 2,000 slow bodies',
          of(situation, 'p50').toFixed(0),
          of(situation, 'p99').toFixed(0),
          of(situation, 'bad').toFixed(0),
        ]),
        notes: [
          `target: p50 at most ${mostTimes} times as long: ${times <= mostTimes ? 'reached' : 'missed'}, ${times.toFixed(2)}`,
        ],
      },
      data,
    };
  },
};
