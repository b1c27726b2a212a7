/** The middle of some numbers; NaN of none. */
export function median(values: readonly number[]): number {
  if (values.length === 0) return Number.NaN;
  const sorted = values.toSorted((a, b) => a - b);
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[half]! : (sorted[half - 1]! + sorted[half]!) / 2;
}

/** How far runs lie apart: (greatest - least) / median. */
export function spread(values: readonly number[]): number {
  return (Math.max(...values) - Math.min(...values)) / median(values);
}

/** One thing against another, round by round: only runs of the same round are compared. */
export interface Comparison {
  /** Median of the rounds' ratios. */
  readonly ratio: number;
  readonly least: number;
  readonly greatest: number;
  /** Whether every round says the same of who needs less; with fewer than three rounds nobody knows. */
  readonly decided: boolean;
}

export function compare(ours: readonly number[], theirs: readonly number[]): Comparison {
  const ratios = ours.map((value, i) => value / theirs[i]!).filter((ratio) => Number.isFinite(ratio));
  const least = Math.min(...ratios);
  const greatest = Math.max(...ratios);
  return {
    ratio: median(ratios),
    least,
    greatest,
    decided: ratios.length >= 3 && (greatest < 1 || least > 1),
  };
}

/** A ratio as the tables show it; `~` where the rounds do not agree on who is ahead. */
export function ratioText({ ratio, least, greatest, decided }: Comparison): string {
  if (!Number.isFinite(ratio)) return '';
  return `${decided ? '' : '~'}${ratio.toFixed(2)} (${least.toFixed(2)}–${greatest.toFixed(2)})`;
}
