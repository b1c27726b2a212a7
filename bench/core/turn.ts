import { chat, percentile, startFleet } from './fleet.ts';
import type { Found } from './report.ts';

const turns = 300;

/** What a turn through the core costs over the same request to the bare model, one at a time. */
export async function turnOverhead(): Promise<Found> {
  const fleet = await startFleet();
  try {
    const subjects = [
      { name: 'the bare model', url: fleet.modelUrl, session: () => undefined },
      { name: 'core, stateless', url: fleet.coreUrl, session: () => undefined },
      { name: 'core, a turn of a session', url: fleet.coreUrl, session: (round: number) => `s${round}` },
    ];
    const times = subjects.map((): number[] => []);
    const cpu = subjects.map(() => 0);
    // Interleaved rounds, so that whatever else the machine does hits all of them alike.
    for (let round = 0; round < 6; round++) {
      for (const [index, { url, session }] of subjects.entries()) {
        const cpuBefore = await fleet.metric('process_cpu_seconds_total');
        for (let turn = 0; turn < turns / 6; turn++) {
          const started = performance.now();
          await chat(url, `question ${turn}`, { session: session(round) });
          // The first round is for the compiler to warm up.
          if (round > 0) times[index]?.push(performance.now() - started);
        }
        if (round > 0)
          cpu[index] = (cpu[index] ?? 0) + (await fleet.metric('process_cpu_seconds_total')) - cpuBefore;
      }
    }
    const bare = percentile(times[0] ?? [], 0.5);
    const rows = subjects.map(({ name }, index) => {
      const found = times[index] ?? [];
      return {
        what: `A turn: ${name}`,
        value: `p50 ${percentile(found, 0.5).toFixed(2)} ms, p99 ${percentile(found, 0.99).toFixed(2)} ms`,
        note:
          index === 0
            ? ''
            : `+${(percentile(found, 0.5) - bare).toFixed(2)} ms; ${(((cpu[index] ?? 0) / found.length) * 1000).toFixed(2)} ms CPU of the core`,
      };
    });
    return { rows, targets: [] };
  } finally {
    await fleet.stop();
  }
}
