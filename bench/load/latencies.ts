const subBuckets = 64;
const buckets = subBuckets * 26;

/** Latencies in microseconds, kept to better than 2 %: linear up to 128, then 64 steps to each power of two. */
export class Latencies {
  readonly counts: Uint32Array;
  total = 0;

  constructor(counts: ArrayLike<number> = new Uint32Array(buckets)) {
    this.counts = Uint32Array.from(counts);
    for (const count of this.counts) this.total += count;
  }

  record(micros: number): void {
    this.counts[Math.min(buckets - 1, indexOf(Math.max(0, Math.round(micros))))]!++;
    this.total++;
  }

  add(other: Latencies): void {
    for (let i = 0; i < buckets; i++) this.counts[i]! += other.counts[i]!;
    this.total += other.total;
  }

  /** The latency that a share of all (0 to 1) does not exceed; NaN of nothing. */
  quantile(share: number): number {
    if (this.total === 0) return Number.NaN;
    const wanted = Math.max(1, Math.ceil(share * this.total));
    let seen = 0;
    for (let i = 0; i < buckets; i++) {
      seen += this.counts[i]!;
      if (seen >= wanted) return lowestOf(i);
    }
    return lowestOf(buckets - 1);
  }

  clear(): void {
    this.counts.fill(0);
    this.total = 0;
  }
}

function indexOf(value: number): number {
  if (value < 2 * subBuckets) return value;
  const shift = 31 - Math.clz32(value) - 6;
  return subBuckets * (shift + 1) + (value >>> shift) - subBuckets;
}

function lowestOf(index: number): number {
  if (index < 2 * subBuckets) return index;
  const shift = Math.floor(index / subBuckets) - 1;
  return (subBuckets + (index % subBuckets)) * 2 ** shift;
}
