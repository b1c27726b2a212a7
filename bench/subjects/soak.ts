import { setTimeout as delay } from 'node:timers/promises';
import { usualCall } from '../load/signer.ts';
import { inboundWith } from '../peers/countersign-inbound.ts';
import { residentBytes } from '../processes.ts';
import { median } from '../statistics.ts';
import type { Result, Subject } from '../subject.ts';

const minutes = 10;
const sampleMs = 10_000;
/** A quarter of what one core can do: nonces then stay in the tens of thousands a second, as on a busy VM. */
const perSecond = 2000;

/** Memory over ten minutes of load: it grows with the nonces of the window, and then stays. */
export const soak: Subject = {
  id: 'soak',
  modes: ['full'],
  async run({ stage, say }): Promise<Result> {
    const peer = inboundWith('soak', 'soak', {});
    const running = await stage.start(peer);
    const load = { port: running.port, dialect: peer.dialect, identity: stage.identity, call: usualCall };
    await stage.generators.open({ ...load, connections: 64, perSecond });
    const mib: number[] = [];
    let bad = 0;
    for (let i = 0; i < (minutes * 60_000) / sampleMs; i++) {
      await delay(sampleMs);
      mib.push(residentBytes(running.pids) / 2 ** 20);
      bad += (await stage.generators.report()).bad;
      if (i % 6 === 5) say(`soak: ${(i + 1) / 6} minutes, ${mib.at(-1)!.toFixed(0)} MiB`);
    }
    await stage.generators.close();
    await running.stop();
    const tenth = Math.floor(mib.length / 10);
    const middle = median(mib.slice(6 * tenth, 7 * tenth));
    const last = median(mib.slice(-tenth));
    return {
      id: 'soak',
      table: {
        title: `Memory over ${minutes} minutes at ${perSecond} requests/s`,
        columns: ['when', 'RSS MiB'],
        rows: [
          ['after the first minute', mib[5]!.toFixed(0)],
          ['after six, when as many nonces go as come', middle.toFixed(0)],
          ['at the end', last.toFixed(0)],
        ],
        notes: [`${bad} answers were not 2xx`],
      },
      data: { mib, bad, perSecond },
    };
  },
};
