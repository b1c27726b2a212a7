import { setTimeout } from 'node:timers/promises';
import { chat, percentile, startFleet } from './fleet.ts';
import type { Found } from './report.ts';

const sessions = 1000;
const rounds = 2;
const gapMs = 250;
const words = 20;

/** Many sessions that stream at the same time, and what that does to the event loop of the core. */
export async function concurrentStreams(): Promise<Found> {
  const fleet = await startFleet();
  try {
    await streamAll(fleet.coreUrl, 1);
    const bare = await streamAll(fleet.modelUrl, rounds);
    const cpuBefore = await fleet.metric('process_cpu_seconds_total');
    const started = performance.now();
    const delays: number[] = [];
    // The metric covers the time since it was read last: the worst second counts.
    const sample = async () => void delays.push(await fleet.metric('nodejs_eventloop_lag_p99_seconds'));
    await sample();
    delays.length = 0;
    const sampling = setInterval(() => void sample(), 1000);
    const times = await streamAll(fleet.coreUrl, rounds);
    clearInterval(sampling);
    await sample();
    const seconds = (performance.now() - started) / 1000;
    const cpu = (await fleet.metric('process_cpu_seconds_total')) - cpuBefore;
    const what = `${sessions.toLocaleString('en')} clients streaming at once, ${(sessions * rounds).toLocaleString('en')} answers of ${words} chunks, ${gapMs} ms apart`;
    return {
      rows: [
        { what: `${what}: the bare model`, value: show(bare), note: '' },
        {
          what: `the same as turns of ${sessions.toLocaleString('en')} sessions of the core`,
          value: show(times),
          note: `event loop p99 delay ${(Math.max(...delays) * 1000).toFixed(1)} ms; ${((100 * cpu) / seconds).toFixed(0)} % of one CPU`,
        },
      ],
      targets: [],
    };
  } finally {
    await fleet.stop();
  }
}

async function streamAll(url: string, rounds: number): Promise<number[]> {
  const times: number[] = [];
  const loop = async (session: number) => {
    // People do not press Enter in the same millisecond: the sessions start spread over one answer's length.
    await setTimeout((session / sessions) * words * gapMs);
    for (let round = 0; round < rounds; round++) {
      const begun = performance.now();
      const text = await chat(url, `gap=${gapMs}`, { session: `s${session}`, stream: true });
      if (!text.endsWith('data: [DONE]\n\n')) throw new Error(`a broken stream: ${text.slice(-200)}`);
      times.push(performance.now() - begun);
    }
  };
  await Promise.all(Array.from({ length: sessions }, (_, index) => loop(index)));
  return times;
}

function show(times: readonly number[]): string {
  return `p50 ${percentile(times, 0.5).toFixed(0)} ms, p99 ${percentile(times, 0.99).toFixed(0)} ms an answer`;
}
