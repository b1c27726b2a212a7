import type { SearchTerm } from './conversation.ts';
import { foldWord } from './words.ts';

const charactersAround = 80;

/** The part of a text around the first found word, with every found word in it between `[` and `]`. */
export function excerptOf(text: string, terms: readonly SearchTerm[]): string {
  const words = new Set(terms.flatMap((term) => term.words));
  const prefixes = terms.filter((term) => term.prefix).map((term) => term.words.at(-1) as string);
  const isFound = (folded: string) =>
    words.has(folded) || prefixes.some((prefix) => folded.startsWith(prefix));
  const first = firstPosition(text, [...words]);
  const start = Math.max(0, first - charactersAround);
  const end = Math.min(text.length, first + 2 * charactersAround);
  const marked = [
    ...new Intl.Segmenter('en', { granularity: 'word' }).segment(text.slice(start, end).toWellFormed()),
  ]
    .map(({ segment, isWordLike }) => (isWordLike && isFound(foldWord(segment)) ? `[${segment}]` : segment))
    .join('');
  return `${start > 0 ? '…' : ''}${marked.trim()}${end < text.length ? '…' : ''}`;
}

/** Where one of the words occurs first, 0 when only folding makes them equal. */
function firstPosition(text: string, words: readonly string[]): number {
  const lower = text.toLowerCase();
  const positions = words.map((word) => lower.indexOf(word)).filter((position) => position >= 0);
  return positions.length === 0 ? 0 : Math.min(...positions);
}
