import type { Comparison } from './statistics.ts';

/** A target, and what was found. */
export interface Target {
  readonly what: string;
  /** `≤ 0.78`, `≤ 5 ms` */
  readonly wanted: string;
  readonly found: string;
  /** By the median. */
  readonly reached: boolean;
}

/** Of a ratio, round by round; nothing where one of the two was not measured. */
export function ratioTarget(what: string, { ratio, least, greatest }: Comparison, most: number): Target[] {
  if (!Number.isFinite(ratio)) return [];
  const agree = least <= most === greatest <= most;
  return [
    {
      what,
      wanted: `≤ ${most.toFixed(2)} ×`,
      found: `${ratio.toFixed(2)} (${least.toFixed(2)}–${greatest.toFixed(2)})${agree ? '' : ', the rounds do not agree'}`,
      reached: ratio <= most,
    },
  ];
}

/** Of one number. */
export function numberTarget(what: string, value: number, most: number, unit: string): Target[] {
  if (!Number.isFinite(value)) return [];
  const digits = most < 10 ? 2 : 0;
  return [
    { what, wanted: `≤ ${most} ${unit}`, found: `${value.toFixed(digits)} ${unit}`, reached: value <= most },
  ];
}

/** As a line says it. */
export function targetText({ what, wanted, found, reached }: Target): string {
  return `target: ${what} ${wanted}: ${reached ? 'reached' : 'missed'}, ${found}`;
}
