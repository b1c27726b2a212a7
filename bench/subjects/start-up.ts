import { setTimeout as delay } from 'node:timers/promises';
import { differences } from '../equal-work.ts';
import { median } from '../statistics.ts';
import { interleaved, type Result, type Subject } from '../subject.ts';

/** From starting the process to a right answer through it. */
export const startUp: Subject = {
  id: 'start-up',
  modes: ['quick', 'usual', 'full'],
  async run({ stage, entries, mode }): Promise<Result> {
    const data: Record<string, { title: string; ms: number[] }> = {};
    const measured = entries.filter(({ peer }) => peer.id !== 'bare');
    await interleaved({ quick: 1, usual: 3, full: 9 }[mode], measured, async ({ peer }) => {
      const place = await stage.place();
      const startMs = performance.now();
      const running = await peer.start(place);
      // Without checks it is one request.
      const wrong = await differences({ ...peer, checks: false }, running.port, stage.identity);
      const ms = performance.now() - startMs;
      if (wrong.length > 0) throw new Error(`${peer.title}: ${wrong.join('; ')}`);
      data[peer.id] ??= { title: peer.title, ms: [] };
      data[peer.id]!.ms.push(ms);
      await running.stop();
      await delay(20);
    });
    const rows = Object.values(data).map(({ title, ms }) => [
      title,
      median(ms).toFixed(0),
      `${Math.min(...ms).toFixed(0)}–${Math.max(...ms).toFixed(0)}`,
    ]);
    return {
      id: 'start-up',
      table: {
        title: 'From start to the first right answer, ms',
        columns: ['peer', 'median', 'range'],
        rows,
        notes: [],
      },
      data,
    };
  },
};
