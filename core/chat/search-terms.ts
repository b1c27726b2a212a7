import type { SearchTerm } from '../terms/conversation.ts';
import { wordsOf } from '../terms/words.ts';

/** More terms than anybody types; each costs the search. */
const maxTerms = 32;

/**
 * What a person types as terms to search for: every word must occur, in any order; words in double quotes occur together; the
 * last word may be the beginning of one. Nothing in it is an operator. Empty when there is no word.
 */
export function toSearchTerms(text: string): SearchTerm[] {
  const pieces = [...text.matchAll(/"([^"]*)"|([^\s"]+)/g)]
    .map(([, phrase, word]) => ({ words: wordsOf(phrase ?? word ?? ''), quoted: phrase !== undefined }))
    .filter(({ words }) => words.length > 0)
    .slice(0, maxTerms);
  return pieces.map(({ words, quoted }, index) => ({
    words,
    prefix: !quoted && index === pieces.length - 1,
  }));
}
