/** Upper bounds of the duration histogram, in seconds. */
export const durationBounds = [
  0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 120,
];

/** Upper bounds of the histogram of what a sidecar adds to a call, in seconds. */
export const overheadBounds = [
  0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 1,
];

/** Upper bounds of the skew histogram, in seconds; positive when the caller's clock is behind. */
export const skewBounds = [-300, -60, -10, -5, -2, -1, 0, 1, 2, 5, 10, 60, 300];

/** A histogram as plain data, so that it can cross threads. `counts` has one more place than `bounds`. */
export interface HistogramData {
  readonly counts: Float64Array;
  sum: number;
  min: number;
  max: number;
}

export function newHistogram(bounds: readonly number[]): HistogramData {
  return {
    counts: new Float64Array(bounds.length + 1),
    sum: 0,
    min: Number.POSITIVE_INFINITY,
    max: Number.NEGATIVE_INFINITY,
  };
}

/** Counts one value. Hot path: no allocation. @returns its bucket's place */
export function observe(histogram: HistogramData, bounds: readonly number[], value: number): number {
  let place = 0;
  while (place < bounds.length && value > (bounds[place] as number)) place++;
  histogram.counts[place]! += 1;
  histogram.sum += value;
  if (value < histogram.min) histogram.min = value;
  if (value > histogram.max) histogram.max = value;
  return place;
}

export function totalOf(histogram: HistogramData): number {
  let total = 0;
  for (const count of histogram.counts) total += count;
  return total;
}

/** Adds `from` to `into`. */
export function addHistogram(into: HistogramData, from: HistogramData): void {
  for (let i = 0; i < into.counts.length; i++) into.counts[i]! += from.counts[i] as number;
  into.sum += from.sum;
  into.min = Math.min(into.min, from.min);
  into.max = Math.max(into.max, from.max);
}
