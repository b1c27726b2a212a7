/** Characters that nobody sees, or that turn the direction of what is around them. */
const unseen = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}]/gu;

/** A text from the wire as it is: control and direction characters are written out, and it ends somewhere. */
export function visible(text: string, most = 2_000): string {
  const shown = text.length > most ? `${text.slice(0, most)}… (${text.length} characters)` : text;
  return shown.replace(unseen, (character) => `\\u{${character.codePointAt(0)?.toString(16)}}`);
}

/** Line ends, tabs, and what composes emoji. */
const kept: ReadonlySet<string> = new Set(['\n', '\t', '\u200d', '\ufe0e', '\ufe0f']);

/** A text of several lines, written by people or models: as {@link visible}, but line ends, tabs and composed emoji stay. */
export function visibleLines(text: string): string {
  return text.replace(unseen, (character) => (kept.has(character) ? character : visible(character)));
}

/** Time of day, and the day where it is another: `14:03:09`, `Nov 24 14:03:09`. */
export function timeText(time: string, now = new Date()): string {
  const at = new Date(time);
  const clock = at.toLocaleTimeString('en-GB');
  if (at.toDateString() === now.toDateString()) return clock;
  return `${at.toLocaleDateString('en-US', { month: 'short', day: 'numeric' })} ${clock}`;
}

/** `1 rule`, `2 rules`. */
export function counted(count: number, one: string, many = `${one}s`): string {
  return `${count.toLocaleString('en-US')} ${count === 1 ? one : many}`;
}

/** Hours with one digit below ten, minutes below two hours: `20.8 h`, `36 min`. */
export function hoursText(seconds: number): string {
  if (seconds < 7_200) return `${Math.floor(Math.max(0, seconds) / 60)} min`;
  return `${(Math.floor(seconds / 360) / 10).toFixed(1)} h`;
}
