import { setTimeout as delay } from 'node:timers/promises';
import { usualCall } from '../load/signer.ts';
import { inboundWith } from '../peers/countersign-inbound.ts';
import { type Memory, memoryOf, memoryText } from '../processes.ts';
import { median } from '../statistics.ts';
import type { Result, Subject } from '../subject.ts';
import { numberTarget } from '../targets.ts';

const minutes = 10;
const sampleMs = 10_000;
/** A quarter of what one core can do: nonces then stay in the tens of thousands a second, as on a busy VM. */
const perSecond = 2000;
/** What counts as no growth: the kernel accounts for memory in lumps. */
const flat = 0.02;

/** Memory over ten minutes of load: it grows with the nonces of the window, and then stays. */
export const soak: Subject = {
  id: 'soak',
  modes: ['full'],
  async run({ stage, say }): Promise<Result> {
    const peer = inboundWith('soak', 'soak', {});
    const running = await stage.start(peer);
    const load = { port: running.port, dialect: peer.dialect, identity: stage.identity, call: usualCall };
    await stage.generators.open({ ...load, connections: 64, perSecond });
    const memory: Memory[] = [];
    let bad = 0;
    for (let i = 0; i < (minutes * 60_000) / sampleMs; i++) {
      await delay(sampleMs);
      memory.push(memoryOf(running.pids));
      bad += (await stage.generators.report()).bad;
      if (i % 6 === 5) say(`soak: ${(i + 1) / 6} minutes, ${memoryText(memory.at(-1)!)} MiB`);
    }
    await stage.generators.close();
    await running.stop();
    const middle = memory.slice(36, 42);
    const last = memory.slice(-6);
    const typical = (some: readonly Memory[]) => median(some.map(({ resident }) => resident));
    const growth = typical(last) / typical(middle) - 1;
    return {
      id: 'soak',
      table: {
        title: `Memory over ${minutes} minutes at ${perSecond} requests/s`,
        columns: ['when', 'RSS MiB (own)'],
        rows: [
          ['after the first minute', memoryText(memory[5]!)],
          ['after six, when as many nonces go as come', memoryText(middle[0]!)],
          ['at the end', memoryText(last.at(-1)!)],
        ],
        notes: [`${bad} answers were not 2xx`],
        targets: numberTarget('growth of memory once nonces go as they come', 100 * growth, 100 * flat, '%'),
      },
      data: { memory, bad, perSecond },
    };
  },
};
