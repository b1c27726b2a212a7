import { type RawBuilder, type SqlBool, sql } from 'kysely';
import type { SearchTerm } from '../../terms/conversation.ts';
import type { Syntax } from '../connection.ts';

/** A tsvector keeps positions up to this one, and is at most 1 MiB long. */
const maxPosition = 16_383;
const maxVectorBytes = 900_000;
const bytesPerEntry = 8;

export const syntax: Syntax = {
  indexed: (words) => sql<string>`${toVector(words)}::tsvector`,
  matches: (terms): RawBuilder<SqlBool> => sql<SqlBool>`messages_search.words @@ ${toQuery(terms)}::tsquery`,
  // The server's statement_timeout ends what takes too long.
  withinDeadline: () => sql<SqlBool>`true`,
};

/** @see https://www.postgresql.org/docs/15/datatype-textsearch.html */
function toVector(words: readonly string[]): string {
  const entries: string[] = [];
  let bytes = 0;
  for (const [index, word] of words.entries()) {
    bytes += Buffer.byteLength(word) + bytesPerEntry;
    if (bytes > maxVectorBytes) break;
    entries.push(`'${word}':${Math.min(index + 1, maxPosition)}`);
  }
  return entries.join(' ');
}

/** Words are letters, digits and marks only: nothing in them has to be quoted. */
function toQuery(terms: readonly SearchTerm[]): string {
  return terms
    .map(({ words, prefix }) =>
      words
        .map((word, index) => `'${word}'${prefix && index === words.length - 1 ? ':*' : ''}`)
        .join(' <-> '),
    )
    .map((phrase) => `(${phrase})`)
    .join(' & ');
}
