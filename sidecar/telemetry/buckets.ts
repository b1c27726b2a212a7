/** A histogram as `/metrics` writes it: how many values were at most each bound. The last bound is Infinity. */
export interface Buckets {
  readonly bounds: readonly number[];
  readonly cumulative: readonly number[];
}

export const noBuckets: Buckets = { bounds: [], cumulative: [] };

/** Adds two up, at the bounds that both have: sidecars of two versions may have different ones. */
export function addBuckets(one: Buckets, two: Buckets): Buckets {
  if (one.bounds.length === 0) return two;
  return two.bounds.length === 0 ? one : combine(one, two, 1);
}

/** What `now` counts beyond `then`. */
export function subtractBuckets(now: Buckets, then: Buckets): Buckets {
  return then.bounds.length === 0 ? now : combine(now, then, -1);
}

function combine(one: Buckets, two: Buckets, sign: 1 | -1): Buckets {
  const bounds: number[] = [];
  const cumulative: number[] = [];
  for (const [at, bound] of one.bounds.entries()) {
    const place = two.bounds[at] === bound ? at : two.bounds.indexOf(bound);
    if (place < 0) continue;
    bounds.push(bound);
    cumulative.push((one.cumulative[at] as number) + sign * (two.cumulative[place] as number));
  }
  return { bounds, cumulative };
}

export function countIn({ cumulative }: Buckets): number {
  return cumulative.at(-1) ?? 0;
}

/**
 * A quantile, linear within its bucket, as Prometheus's histogram_quantile estimates it.
 *
 * @param q 0 to 1
 * @returns undefined when nothing was counted; the highest finite bound for values beyond it
 */
export function quantile(buckets: Buckets, q: number): number | undefined {
  const { bounds, cumulative } = buckets;
  const rank = q * countIn(buckets);
  if (rank <= 0) return undefined;
  const at = cumulative.findIndex((count) => count >= rank);
  const upper = bounds[at] as number;
  const lower = at === 0 ? 0 : (bounds[at - 1] as number);
  if (upper === Number.POSITIVE_INFINITY) return lower;
  const before = at === 0 ? 0 : (cumulative[at - 1] as number);
  return lower + ((upper - lower) * (rank - before)) / ((cumulative[at] as number) - before);
}
