/** 0 free, 1 held, 2 held and somebody sleeps. */
const spins = 200;

/**
 * Takes a lock that is held for microseconds. Threads share few cores, so whoever does not get it soon sleeps until
 * it is given back.
 */
export function lock(words: Int32Array, at: number): void {
  if (Atomics.compareExchange(words, at, 0, 1) === 0) return;
  for (let i = 0; i < spins; i++)
    if (Atomics.load(words, at) === 0 && Atomics.compareExchange(words, at, 0, 1) === 0) return;
  while (Atomics.exchange(words, at, 2) !== 0) Atomics.wait(words, at, 2);
}

export function unlock(words: Int32Array, at: number): void {
  if (Atomics.exchange(words, at, 0) === 2) Atomics.notify(words, at, 1);
}
