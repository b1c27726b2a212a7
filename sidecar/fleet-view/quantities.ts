/** Numbers as tables show them: short, with their unit. `-` stands for what is not known. */
export const unknown = '-';

/** `430 µs`, `12 ms`, `1.2 s`, `95 s`. */
export function durationText(seconds: number | undefined): string {
  if (seconds === undefined) return unknown;
  if (seconds < 0.0009995) return `${Math.round(seconds * 1e6)} µs`;
  if (seconds < 0.9995) return `${rounded(seconds * 1000)} ms`;
  return `${rounded(seconds)} s`;
}

/** A rate or a count: `0`, `0.04`, `7.3`, `120`, `12k`, `3.1M`. */
export function rateText(value: number | undefined): string {
  if (value === undefined) return unknown;
  if (value >= 999_500) return `${rounded(value / 1e6)}M`;
  if (value >= 9_999.5) return `${rounded(value / 1e3)}k`;
  if (value > 0 && value < 0.0995) return value < 0.005 ? '<0.01' : value.toFixed(2);
  return rounded(value);
}

/** A share of 0 to 1: `100%`, `99.95%`, `7.1%`. Never 100% when something is missing. */
export function shareText(share: number | undefined): string {
  if (share === undefined) return unknown;
  const percent = share * 100;
  if (percent === 100 || percent === 0) return `${percent}%`;
  const digits = percent > 99 ? 2 : 1;
  const scale = 10 ** digits;
  return `${(Math.floor(percent * scale) / scale).toFixed(digits)}%`;
}

/** A length of time in one unit: `36 s`, `4 min`, `25 h`, `12 d`. */
export function ageText(seconds: number | undefined): string {
  if (seconds === undefined) return unknown;
  const whole = Math.max(0, Math.floor(seconds));
  if (whole < 120) return `${whole} s`;
  if (whole < 7_200) return `${Math.floor(whole / 60)} min`;
  if (whole < 172_800) return `${Math.floor(whole / 3_600)} h`;
  return `${Math.floor(whole / 86_400)} d`;
}

/** Time since an RFC 3339 time: `4 min ago`. */
export function agoText(time: string | undefined, nowMs: number): string {
  return time === undefined ? 'never' : `${ageText((nowMs - Date.parse(time)) / 1000)} ago`;
}

function rounded(value: number): string {
  return value >= 9.95 || Number.isInteger(value) ? String(Math.round(value)) : value.toFixed(1);
}
