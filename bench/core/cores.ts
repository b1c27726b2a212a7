import { compare, median } from '../statistics.ts';
import { ratioTarget } from '../targets.ts';
import { chat, cpuMs, startFleet } from './fleet.ts';
import type { Found } from './report.ts';

const counts = [1, 2, 3];
const clients = 24;
const rounds = 4;
const roundMs = 2500;
const most = 1.1;

/** Turns a second, and the CPU of each, with one, two and three core services on one PostgreSQL. */
export async function severalCores(): Promise<Found> {
  const fleet = await startFleet({ engine: 'postgres', cores: Math.max(...counts), fsync: false });
  try {
    const found = counts.map(() => ({ perSecond: [] as number[], cpu: [] as number[] }));
    // The first round warms up.
    for (let round = 0; round <= rounds; round++)
      for (const [index, count] of counts.entries()) {
        const cores = fleet.cores.slice(0, count);
        const pids = cores.map(({ pid }) => pid);
        const before = cpuMs(...pids);
        const startMs = performance.now();
        let turns = 0;
        await Promise.all(
          Array.from({ length: clients }, async (_, client) => {
            const { url } = cores[client % count]!;
            while (performance.now() - startMs < roundMs) {
              await chat(url, 'one more', { session: `s${round}-${count}-${client}` });
              turns++;
            }
          }),
        );
        const seconds = (performance.now() - startMs) / 1000;
        if (round === 0) continue;
        found[index]!.perSecond.push(turns / seconds);
        found[index]!.cpu.push((cpuMs(...pids) - before) / turns);
      }
    const [one] = found;
    return {
      rows: counts.map((count, index) => ({
        what: `${count} core${count === 1 ? '' : 's'} on one PostgreSQL that does not wait for its disk, ${clients} sessions at once`,
        value: `${median(found[index]!.perSecond).toFixed(0)} turns/s`,
        note: `${median(found[index]!.cpu).toFixed(2)} ms CPU a turn`,
      })),
      targets: counts
        .slice(1)
        .flatMap((count, index) =>
          ratioTarget(
            `CPU a turn, ${count} cores against one`,
            compare(found[index + 1]!.cpu, one!.cpu),
            most,
          ),
        ),
    };
  } finally {
    await fleet.stop();
  }
}
