import { openState } from '../sidecar/replay/state.ts';

/** Seconds between that stop and now: more than any signature lives. */
const agoSeconds = 400;

/** Leaves a state directory as a sidecar leaves it that stopped in good order a while ago: nothing in it is refused. */
export async function leaveSettledState(directory: string, ago: number = agoSeconds): Promise<void> {
  const state = await openState(directory, {
    kids: [],
    report: (error) => {
      throw error;
    },
    now: () => Date.now() - ago * 1000,
  });
  await state.handOver();
}
