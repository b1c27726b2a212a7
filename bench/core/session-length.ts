import { compare, median } from '../statistics.ts';
import { ratioTarget } from '../targets.ts';
import { chat, type Engine, percentile, startFleet } from './fleet.ts';
import type { Found } from './report.ts';

const lengths = [10, 1000, 100_000];
const rounds = 6;
const turnsARound = 15;
const most = 1.1;
const names = { sqlite: 'SQLite', postgres: 'PostgreSQL' };

/** The cost of one more turn in sessions of very different lengths: it has to be the same. */
export async function sessionLength(engine: Engine): Promise<Found> {
  const fleet = await startFleet({ engine, lengths });
  try {
    const times = lengths.map((): number[][] => []);
    // Turn by turn, so that whatever else the machine does hits all of them alike; the first round warms up.
    for (let round = 0; round <= rounds; round++) {
      const ofRound = lengths.map((): number[] => []);
      for (let turn = 0; turn < turnsARound; turn++)
        for (const [index, length] of lengths.entries()) {
          const started = performance.now();
          await chat(fleet.coreUrl, 'one more', { session: `length-${length}` });
          ofRound[index]?.push(performance.now() - started);
        }
      if (round > 0) for (const [index, some] of ofRound.entries()) times[index]?.push(some);
    }
    const p50s = times.map((ofRounds) => ofRounds.map((some) => median(some)));
    return {
      rows: lengths.map((length, index) => ({
        what: `${names[engine]}: one more turn in a session of ${length.toLocaleString('en')} messages`,
        value: `p50 ${percentile((times[index] ?? []).flat(), 0.5).toFixed(2)} ms`,
        note: '',
      })),
      targets: ratioTarget(
        `a turn in a session of 100,000 messages against one of 10, ${names[engine]}, p50`,
        compare(p50s.at(-1) ?? [], p50s[0] ?? []),
        most,
      ),
    };
  } finally {
    await fleet.stop();
  }
}
