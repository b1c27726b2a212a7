import { join } from 'node:path';
import { writeHandover } from '../../sidecar/replay/handover-file.ts';
import { ReplayMemory } from '../../sidecar/replay/replay-memory.ts';
import { leaveSettledState } from '../../tools/settled-state.ts';
import { inboundWith } from '../peers/countersign-inbound.ts';
import { benchIdentity } from '../peers/fleet.ts';
import type { Result, Subject } from '../subject.ts';
import { measureVariants, variantTable } from './variants.ts';

/** Nonces are spread over what is allowed ahead of the clock, so that none expires while we measure. */
const aheadSeconds = 280;

/** Leaves a replay memory with live nonces in a state directory, as a sidecar that hands over does. */
async function leaveNonces(stateFolder: string, count: number): Promise<void> {
  if (count === 0) {
    await leaveSettledState(stateFolder);
    return;
  }
  const { kid } = benchIdentity();
  const memory = new ReplayMemory();
  memory.use(kid, 0xffff_ffff, 0);
  const start = Math.floor(Date.now() / 1000);
  for (let i = 0; i < count; i++) {
    const created = start + Math.floor((i / count) * aheadSeconds);
    const admission = memory.admit(kid, `left-behind-${String(i).padStart(10, '0')}`, created);
    if (admission !== 'fresh') throw new Error(`the memory says ${admission} of nonce ${i}`);
  }
  memory.close();
  await writeHandover(join(stateFolder, 'replay.bin'), memory, { refusedUnmarked: 0, wholeFrom: 0 });
}

/** 0, 100 thousand and 5 million live nonces inside the running proxy. */
export const nonces: Subject = {
  id: 'nonces',
  modes: ['quick', 'usual', 'full'],
  async run(bench): Promise<Result> {
    const counts = { quick: [0, 100_000], usual: [0, 5_000_000], full: [0, 100_000, 5_000_000] }[bench.mode];
    const variants = counts.map((count) =>
      inboundWith(`nonces-${count}`, `${count.toLocaleString('en')} live nonces`, {
        prepare: (stateFolder) => leaveNonces(stateFolder, count),
      }),
    );
    const data = await measureVariants(bench, variants, bench.mode === 'quick' ? 1 : bench.pace.rounds);
    return { id: 'nonces', table: variantTable('Live nonces in the running sidecar', data, 1.1), data };
  },
};
