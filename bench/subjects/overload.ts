import { type Attack, Strangers } from '../load/strangers.ts';
import { measure, type Sample } from '../measure.ts';
import { countersignPair, startPair } from '../peers/countersign-pair.ts';
import { compare, median } from '../statistics.ts';
import { interleaved, type Result, type Subject } from '../subject.ts';
import { numberTarget, ratioTarget } from '../targets.ts';

const limits = 'limits: { connections: 3000, unproven_connections: 1500, per_address: 1000 }';
const slowBody = 'POST /api/open HTTP/1.1\r\nHost: npu-worker\r\nContent-Length: 1000000\r\n\r\nx';
/** More than every limit for strangers lets in. */
const attacks: readonly Attack[] = [
  { from: '127.0.0.9', connections: 3200, first: '', eachSecond: '' },
  { from: '127.0.0.10', connections: 2000, first: slowBody, eachSecond: 'x' },
];
const perSecond = 1000;
const mostTimes = 2;

type Situation = 'calm' | 'attacked';
const situations = ['calm', 'attacked'] as const;

/** How long a proven caller's calls take, with strangers at every limit of the callee and without any, in turns. */
export const overload: Subject = {
  id: 'overload',
  modes: ['quick', 'usual', 'full'],
  async run({ stage, pace, mode, say }): Promise<Result> {
    const data: Record<Situation, Sample[]> = { calm: [], attacked: [] };
    const running = await startPair(await stage.place(), undefined, { further: limits });
    try {
      const options = { warmMs: 500, ms: mode === 'quick' ? 500 : 3000, perSecond, connections: 16 };
      await measure(stage, countersignPair, running, options);
      await interleaved({ quick: 1, usual: 5, full: pace.rounds }[mode], situations, async (situation) => {
        const strangers =
          situation === 'calm' ? undefined : await Strangers.start(running.inboundPort, attacks);
        try {
          data[situation].push(await measure(stage, countersignPair, running, options));
        } finally {
          if (strangers !== undefined) {
            const { open, lost } = strangers.state;
            say(`overload: ${open} connections of strangers, ${lost} lost so far`);
            strangers.stop();
          }
        }
      });
    } finally {
      await running.stop();
    }
    const p50 = (situation: Situation) => data[situation].map((sample) => sample.p50);
    const failed = (situation: Situation) => data[situation].reduce((sum, { bad }) => sum + bad, 0);
    return {
      id: 'overload',
      table: {
        title: `Calls of a proven caller, ${perSecond.toLocaleString('en')} a second through both sidecars, while strangers hold all that they can`,
        columns: ['strangers', 'p50 µs', 'CPU µs/call', 'failed calls'],
        rows: situations.map((situation) => [
          situation === 'calm' ? 'none' : '3,200 silent connections and 2,000 slow bodies',
          median(p50(situation)).toFixed(0),
          median(data[situation].map(({ cpu }) => cpu)).toFixed(0),
          String(failed(situation)),
        ]),
        notes: [],
        targets: [
          ...ratioTarget(
            'p50 of a proven caller, under attack against calm',
            compare(p50('attacked'), p50('calm')),
            mostTimes,
          ),
          ...numberTarget('failed calls of a proven caller under attack', failed('attacked'), 0, 'calls'),
        ],
      },
      data,
    };
  },
};
