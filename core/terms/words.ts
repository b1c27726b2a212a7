/** Scripts that put no spaces between words. */
const unspaced =
  /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;
const run = /[\p{L}\p{N}\p{M}]+/gu;
const segmenter = new Intl.Segmenter('en', { granularity: 'word' });

/** Longer words are cut: nobody searches for more of them. */
const maxWordLength = 64;
/** What is indexed of one message, in characters; far more than a window takes. */
const maxIndexedLength = 200_000;

/**
 * The words of a text in their order, made comparable: without case, width and diacritics. Chinese, Japanese, Thai,
 * Lao, Khmer and Burmese are cut into words by the dictionaries of ICU.
 */
export function wordsOf(text: string): string[] {
  const words: string[] = [];
  for (const [piece] of text.slice(0, maxIndexedLength).normalize('NFKC').matchAll(run)) {
    if (!unspaced.test(piece)) words.push(foldWord(piece));
    else for (const { segment } of segmenter.segment(piece)) words.push(foldWord(segment));
  }
  return words.filter((word) => word !== '');
}

/** One word as {@link wordsOf} gives it. Marks are part of the letters in scripts without spaces, and decoration elsewhere. */
export function foldWord(word: string): string {
  const folded = word.normalize('NFKC').toLowerCase();
  const bare = unspaced.test(folded)
    ? folded
    : folded.normalize('NFD').replace(/\p{M}/gu, '').normalize('NFC');
  return [...bare].slice(0, maxWordLength).join('');
}
