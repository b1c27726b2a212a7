/**
 * Shared memory in which the main thread says that its loop turns. One 64-bit number: the monotonic time in nanoseconds
 * (`process.hrtime`, the same in every thread) of its last turn.
 */
export type Heartbeat = BigInt64Array<SharedArrayBuffer>;

export function newHeartbeat(): Heartbeat {
  const heartbeat = new BigInt64Array(new SharedArrayBuffer(8));
  beat(heartbeat);
  return heartbeat;
}

/** Called on every turn of the loop. Returns how long ago the last one was, in milliseconds. */
export function beat(heartbeat: Heartbeat): number {
  const now = process.hrtime.bigint();
  return Number(now - Atomics.exchange(heartbeat, 0, now)) / 1e6;
}

/** The last turn, to tell one from another, and how long ago it was. */
export function lastBeat(heartbeat: Heartbeat): { readonly id: bigint; readonly ageMs: number } {
  const id = Atomics.load(heartbeat, 0);
  return { id, ageMs: Number(process.hrtime.bigint() - id) / 1e6 };
}
