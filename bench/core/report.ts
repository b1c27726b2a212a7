import type { Target } from '../targets.ts';

/** One line of the table. */
export interface Row {
  readonly what: string;
  readonly value: string;
  readonly note: string;
}

/** What one measurement found. */
export interface Found {
  readonly rows: readonly Row[];
  readonly targets: readonly Target[];
}
