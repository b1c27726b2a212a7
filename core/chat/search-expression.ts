/**
 * What a person types as an FTS5 expression: every word must occur, in any order; words in double quotes occur together; the last
 * word may be the beginning of one. Nothing in it is an operator. Undefined when there is no word.
 *
 * @see https://sqlite.org/fts5.html#full_text_query_syntax
 */
export function toSearchExpression(text: string): string | undefined {
  const terms = [...text.matchAll(/"([^"]*)"|([^\s"]+)/g)]
    .map(([, phrase, word]) => ({ text: (phrase ?? word ?? '').trim(), isWord: word !== undefined }))
    .filter((term) => /[\p{L}\p{N}]/u.test(term.text));
  if (terms.length === 0) return undefined;
  return terms
    .map((term, index) => {
      const quoted = `"${term.text.replaceAll('\0', '')}"`;
      return term.isWord && index === terms.length - 1 ? `${quoted}*` : quoted;
    })
    .join(' ');
}
