/**
 * The replay memory with 5 million live nonces: `node bench/replay.ts`. Prints the cost of admitting a nonce, the
 * memory for each, and the longest pauses of growing, forgetting and handing over.
 */
import { ReplayMemory } from '../sidecar/replay/replay-memory.ts';

const live = 5_000_000;
const start = 1_764_000_000;
const seconds = 301;
const kid = 'main-backend/3';

const rss = () => process.memoryUsage.rss();
const us = (ns: number) => (ns / 1000).toFixed(2);

const before = rss();
const memory = new ReplayMemory();
memory.use(kid, 0xffff_ffff, 0);

const batch = 100;
const times: number[] = [];
let worst = 0;
let n = 0;
const nonces = new Array<string>(batch);
const admitBatch = (created: number) => {
  for (let i = 0; i < batch; i++) nonces[i] = `nonce-${String(n++).padStart(16, '0')}`;
  const begun = process.hrtime.bigint();
  for (let i = 0; i < batch; i++)
    if (memory.admit(kid, nonces[i] as string, created) !== 'fresh') throw new Error('not fresh');
  const taken = Number(process.hrtime.bigint() - begun);
  worst = Math.max(worst, taken);
  times.push(taken / batch);
};
let fullest = 0;
while (n < live) {
  admitBatch(start + Math.floor((n / live) * seconds));
  if (n >= 1_000_000) fullest = Math.max(fullest, memory.bytes / n);
}
times.sort((a, b) => a - b);
console.log(
  `admit: median ${us(times[times.length >> 1] as number)} µs, p99 ${us(times[Math.floor(times.length * 0.99)] as number)} µs (of batches of ${batch})`,
);
console.log(`growth: the slowest batch of ${batch} took ${us(worst)} µs in all`);
console.log(
  `memory: ${(memory.bytes / live).toFixed(1)} bytes a nonce (worst on the way ${fullest.toFixed(1)}), ${((rss() - before) / live).toFixed(1)} by the resident size of the process`,
);

const known: number[] = [];
for (let round = 0; round < 2000; round++) {
  for (let i = 0; i < batch; i++)
    nonces[i] = `nonce-${String(Math.floor(Math.random() * live)).padStart(16, '0')}`;
  const created = nonces.map(
    (nonce) =>
      start + Math.floor(((Number(nonce.slice(6)) - (Number(nonce.slice(6)) % batch)) / live) * seconds),
  );
  const begun = process.hrtime.bigint();
  for (let i = 0; i < batch; i++)
    if (memory.admit(kid, nonces[i] as string, created[i] as number) !== 'replayed')
      throw new Error('not replayed');
  known.push(Number(process.hrtime.bigint() - begun) / batch);
}
known.sort((a, b) => a - b);
console.log(`lookup of a random live nonce: median ${us(known[known.length >> 1] as number)} µs`);

let slowest = 0;
for (let second = start; second < start + 2 * seconds + 120; second++)
  for (let more = true; more; ) {
    const begun = process.hrtime.bigint();
    more = memory.forgetSome(second);
    slowest = Math.max(slowest, Number(process.hrtime.bigint() - begun));
  }
console.log(`forgetting all of it: longest pause ${us(slowest)} µs, ${memory.entries} nonces left`);
